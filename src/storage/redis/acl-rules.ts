import type { Connection } from './cluster-client/connection.js';
import { METADATA_KEY } from './partitions.js';
import { ACL_CHECK } from './scripts.js';

/** Stands for every key and channel that begins with a hash tag (partitions.ts). */
const KEY = '{0}s';
/** All commands that are sent, or that scripts call, in a whole form of each. */
const WRITES = [
  `del ${KEY}`,
  `hdel ${KEY} f`,
  `hincrby ${KEY} f 1`,
  `hset ${KEY} f v`,
  `xadd ${KEY} 1-0 f v`,
  `xtrim ${KEY} MINID 1-0`,
  `zadd ${KEY} 0 m`,
  `zrem ${KEY} m`,
];
const READS = [
  `exists ${KEY}`,
  `hget ${KEY} f`,
  `hgetall ${KEY}`,
  `hmget ${KEY} f`,
  `hstrlen ${KEY} f`,
  `xrange ${KEY} - +`,
  `zlexcount ${KEY} - +`,
  `zrangebylex ${KEY} - +`,
  `zrangebyscore ${KEY} 0 1`,
  `zrevrangebylex ${KEY} + -`,
  `zscore ${KEY} m`,
];
const CHANNELS = [`spublish ${KEY} m`, `ssubscribe ${KEY}`];
const OTHERS = ['client list', 'dbsize', 'select 0', 'time', 'wait 0 0'];
const CLUSTER_ONLY = ['asking', 'cluster slots'];
/** Needed before the check can run. CONFIG GET is not needed: it also shows passwords, and only warnings read it. */
const NEEDED_TO_CHECK = ['+client|setname', '+evalsha', '+info', '+script|load'];
const WRITE_KEY = `hset ${KEY} f v`;
const WRITE_METADATA = `hset ${METADATA_KEY} f v`;
const TIMEOUT_MS = 1_500;

/** The ACL rules that the Redis user needs, as ACL SETUSER takes them, and no more. */
export function requiredRules(cluster: boolean): string {
  const commands = [...NEEDED_TO_CHECK, ...commandsFor(cluster).map(ruleFor)];
  return [`~${METADATA_KEY}`, '~{*', '&{*', ...commands.toSorted()].join(' ');
}

/** The required ACL rules that the user lacks on this server. @throws ErrorReply if the user may run no script */
export async function missingRules(primary: Connection, cluster: boolean): Promise<string[]> {
  const deadline = performance.now() + TIMEOUT_MS;
  await primary.loadScript(ACL_CHECK, deadline);
  const commands = [WRITE_METADATA, ...commandsFor(cluster)];
  const reply = await primary.send(['EVALSHA', ACL_CHECK.sha, '0', ...commands], deadline);
  const refused = new Set((reply as Buffer[]).map(String));
  const missing: string[] = [];
  if (!refused.has(WRITE_KEY) && refused.has(WRITE_METADATA)) missing.push(`~${METADATA_KEY}`);
  refused.delete(WRITE_METADATA);
  // Redis does not report whether the command or its key is refused. If every command is, it is the key.
  const replaceAll = (group: readonly string[], rule: string) => {
    if (!group.every((command) => refused.has(command))) return;
    missing.push(rule);
    for (const command of group) refused.delete(command);
  };
  replaceAll([...WRITES, ...READS], '~{*');
  replaceAll(WRITES, '~{*');
  replaceAll(CHANNELS, '&{*');
  return [...missing, ...[...refused].map(ruleFor)];
}

function commandsFor(cluster: boolean): string[] {
  return [...WRITES, ...READS, ...CHANNELS, ...OTHERS, ...(cluster ? CLUSTER_ONLY : [])];
}

/** The rule that allows a command. */
function ruleFor(command: string): string {
  const [name, subcommand] = command.split(' ');
  return name === 'client' || name === 'cluster' ? `+${name}|${subcommand}` : `+${name}`;
}
