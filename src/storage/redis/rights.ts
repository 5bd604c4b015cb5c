import type { Connection } from './cluster-client/connection.js';
import { META } from './partitions.js';
import { RIGHTS } from './scripts.js';

/** Stands for all names of layout.ts, and of channels, that begin with a tag. */
const NAME = '{0}s';
/** Commands that write, that read, and those of channels: all that are sent or that scripts call, each as it is called. */
const WRITES = [
  `del ${NAME}`,
  `hdel ${NAME} f`,
  `hincrby ${NAME} f 1`,
  `hset ${NAME} f v`,
  `xadd ${NAME} 1-0 f v`,
  `xtrim ${NAME} MINID 1-0`,
  `zadd ${NAME} 0 m`,
  `zrem ${NAME} m`,
];
const READS = [
  `exists ${NAME}`,
  `hget ${NAME} f`,
  `hgetall ${NAME}`,
  `hmget ${NAME} f`,
  `hstrlen ${NAME} f`,
  `xrange ${NAME} - +`,
  `zlexcount ${NAME} - +`,
  `zrangebylex ${NAME} - +`,
  `zrangebyscore ${NAME} 0 1`,
  `zrevrangebylex ${NAME} + -`,
  `zscore ${NAME} m`,
];
const CHANNELS = [`spublish ${NAME} m`, `ssubscribe ${NAME}`];
const OTHERS = ['client list', 'dbsize', 'select 0', 'wait 0 0'];
const OF_CLUSTERS = ['asking', 'cluster slots'];
/** Whoever has been asked anything has these. CONFIG GET, which only warns and shows passwords, is not needed. */
const PROVEN = ['+client|setname', '+evalsha', '+info', '+script|load'];
const NAME_WRITE = `hset ${NAME} f v`;
const META_WRITE = `hset ${META} f v`;
const WITHIN_MS = 1_500;

/** The rights that the user in Redis needs, as ACL SETUSER takes them, and no more. */
export function rightsFor(cluster: boolean): string {
  const commands = [...PROVEN, ...commandsFor(cluster).map(rightTo)];
  return [`~${META}`, '~{*', '&{*', ...commands.toSorted()].join(' ');
}

/** Which of them the user lacks on this server. @throws ErrorReply if it may not even run a script */
export async function missingRights(primary: Connection, cluster: boolean): Promise<string[]> {
  const due = performance.now() + WITHIN_MS;
  await primary.load(RIGHTS, due);
  const asked = [META_WRITE, ...commandsFor(cluster)];
  const refused = new Set(
    ((await primary.send(['EVALSHA', RIGHTS.sha, '0', ...asked], due)) as Buffer[]).map(String),
  );
  const missing: string[] = [];
  if (!refused.has(NAME_WRITE) && refused.has(META_WRITE)) missing.push(`~${META}`);
  refused.delete(META_WRITE);
  // Redis does not say whether it is the command or the name that is not allowed.
  const nameless = (group: readonly string[], right: string) => {
    if (!group.every((command) => refused.has(command))) return;
    missing.push(right);
    for (const command of group) refused.delete(command);
  };
  nameless([...WRITES, ...READS], '~{*');
  nameless(WRITES, '~{*');
  nameless(CHANNELS, '&{*');
  return [...missing, ...[...refused].map(rightTo)];
}

function commandsFor(cluster: boolean): string[] {
  return [...WRITES, ...READS, ...CHANNELS, ...OTHERS, ...(cluster ? OF_CLUSTERS : [])];
}

function rightTo(command: string): string {
  const [name, sub] = command.split(' ');
  return name === 'client' || name === 'cluster' ? `+${name}|${sub}` : `+${name}`;
}
