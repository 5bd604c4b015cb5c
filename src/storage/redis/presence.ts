import type { ClusterClient } from './cluster-client/cluster-client.js';
import { isPartLost, partLost } from './cluster-client/failures.js';
import type { Partition } from './partitions.js';

/**
 * Tells whether the servers still have the partitions that they had.
 *
 * Problem: a server without persistence that is started again is empty, and where all is gone, a key looks as if it had never
 * been. Design: a partition has its state from the beginning. A read that finds nothing asks for the state, once for each
 * connection: a server cannot lose its data and keep the connection, unless somebody deletes them (the sweep meets that within
 * a second, and casts doubt on the partition). Guarantee: what a lost server had is never answered as absent; a read that
 * finds something, or finds nothing again, costs no command more.
 */
export class Presence {
  /** The connection on which each partition was seen. */
  private readonly seenOn: (object | undefined)[] = [];

  constructor(private readonly client: ClusterClient) {}

  /** @throws DatabaseError `unavailable` if the server has come back without the partition */
  async assert(partition: Partition, deadline?: number): Promise<void> {
    const session = this.client.topology.ownerOf(partition.slot)?.session;
    if (session !== undefined && this.seenOn[partition.id] === session) return;
    await this.read(partition, 'now', deadline);
    this.seenOn[partition.id] = session;
  }

  /** A field of the state of a partition. @throws DatabaseError as `assert` */
  async read({ slot, state }: Partition, field: string, deadline?: number): Promise<Buffer | null> {
    const args = ['HMGET', state, field, 'now'];
    const reply = await this.client.run({ slot, args, idempotent: true, deadline });
    const [value, now] = reply as (Buffer | null)[];
    if (!now) throw partLost();
    return value!;
  }

  /** How many partitions the servers have lost, of those that can be asked by the deadline. */
  async countLost(partitions: readonly Partition[], deadline: number): Promise<number> {
    const settled = await Promise.allSettled(partitions.map((each) => this.assert(each, deadline)));
    return settled.filter((each) => each.status === 'rejected' && isPartLost(each.reason)).length;
  }

  /** Has the next read that finds nothing ask again. */
  doubt({ id }: Partition): void {
    this.seenOn[id] = undefined;
  }
}
