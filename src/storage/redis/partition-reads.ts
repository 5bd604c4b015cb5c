import type { Connection, Reply, Script } from './cluster-client/connection.js';
import type { Partition } from './partitions.js';
import type { RedisStore } from './store.js';

/*
 * Reads of many partitions at once.
 *
 * Problem: a command for each of hundreds of partitions costs both processes more than what it reads. Design: one script
 * (scripts/common-read.lua) reads all partitions of a server, some dozens in a call, so that other commands are not held up
 * for long. Of a partition that is no longer on that server, or on its way to another, the script returns nothing; such a
 * one is read again by itself, with all that the client knows of redirections and retries. Guarantee: what is returned of
 * a partition is of one instant; of several, of several.
 */

/** What to read of one partition: the arguments that are its own, after its state. */
export interface PartitionRead {
  readonly partition: Partition;
  readonly args: readonly string[];
}

const MAX_PARTITIONS = 128;

/**
 * Runs `script` on partitions. Returns a reply for each, in the order of `reads`.
 * @param shared the arguments for all of them
 * @param most partitions in one call
 */
export async function readPartitions(
  store: RedisStore,
  script: Script,
  shared: readonly (string | Buffer)[],
  reads: readonly PartitionRead[],
  most = MAX_PARTITIONS,
): Promise<Reply[]> {
  const replies = Array.from<Reply>({ length: reads.length });
  const run = async (group: readonly number[]): Promise<void> => {
    const args = [...shared];
    for (const i of group) args.push(reads[i]!.partition.state, ...reads[i]!.args);
    const parts = (await store.query(reads[group[0]!]!.partition, script, args)) as Reply[];
    for (const [at, part] of parts.entries()) replies[group[at]!] = part;
    const missed = group.filter((i) => replies[i] === null);
    if (missed.length > 0) await Promise.all(missed.map((i) => run([i])));
  };
  await Promise.all(groupsOf(store, reads, Math.min(most, MAX_PARTITIONS)).map(run));
  return replies;
}

/** The numbers of the reads, those of one server together, at most `most` in a group. */
function groupsOf(store: RedisStore, reads: readonly PartitionRead[], most: number): number[][] {
  const groups: number[][] = [];
  const open = new Map<Connection | undefined, number[]>();
  for (const [i, { partition }] of reads.entries()) {
    const server = store.client.topology.ownerOf(partition.slot);
    let group = open.get(server);
    // Nobody knows who has such a slot, so that its partition is nobody's neighbour.
    if (!group || !server || group.length >= most) {
      groups.push((group = []));
      open.set(server, group);
    }
    group.push(i);
  }
  return groups;
}
