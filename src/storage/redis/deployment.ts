import type { EngineState } from '../storage-engine.js';
import type { Connection } from './cluster-client/connection.js';
import { SLOTS } from './cluster-client/slots.js';
import type { Topology } from './cluster-client/topology.js';

const ASKED_WITHIN_MS = 1_500;

/** Whether every slot has a primary that answers, and what limits their promises. */
export async function stateOf(topology: Topology): Promise<EngineState> {
  const unserved = Array.from({ length: SLOTS }, (_, slot) => topology.ownerOf(slot)).filter(
    (owner) => owner === undefined,
  ).length;
  const silent: string[] = [];
  const limits = await Promise.all(
    topology.primaries().map(async (primary) => {
      try {
        return await limitsOf(primary);
      } catch (error) {
        silent.push(`${primary.name} does not answer: ${(error as Error).message}`);
        return [];
      }
    }),
  );
  if (unserved > 0) silent.push(`${unserved} of ${SLOTS} slots have no server.`);
  return { ready: silent.length === 0, notes: [...silent, ...limits.flat()] };
}

/** What makes a primary promise less than it could, a sentence each. */
export async function limitsOf(primary: Connection): Promise<string[]> {
  const { name } = primary;
  const info = await infoOf(primary, 'memory', 'persistence', 'replication');
  const limits: string[] = [];
  if (info.get('aof_enabled') !== '1') {
    limits.push(
      `${name}: appendonly is off, so that a restart of Redis loses what was written since its last snapshot.`,
    );
  } else if ((await settingOf(primary, 'appendfsync')) === 'everysec') {
    limits.push(`${name}: appendfsync is everysec, so that a power failure can lose the last second or two.`);
  }
  if (info.get('connected_slaves') === '0') {
    limits.push(`${name}: no replica, so that its keys are out of reach when it fails.`);
  }
  return limits;
}

/** The fields of some sections of INFO. */
export async function infoOf(connection: Connection, ...sections: string[]): Promise<Map<string, string>> {
  const due = performance.now() + ASKED_WITHIN_MS;
  const text = ((await connection.send(['INFO', ...sections], due)) as Buffer).toString();
  const lines = text.split('\r\n').filter((line) => line.includes(':'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}

/** A setting of the server; undefined where it may not be asked for. */
async function settingOf(connection: Connection, name: string): Promise<string | undefined> {
  try {
    const due = performance.now() + ASKED_WITHIN_MS;
    return ((await connection.send(['CONFIG', 'GET', name], due)) as Buffer[])[1]?.toString();
  } catch {
    return undefined;
  }
}
