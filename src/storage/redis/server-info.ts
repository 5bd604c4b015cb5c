import type { EngineState } from '../storage-engine.js';
import type { Connection } from './cluster-client/connection.js';
import { SLOT_COUNT } from './cluster-client/slots.js';
import type { Topology } from './cluster-client/topology.js';

const TIMEOUT_MS = 1_500;

/** Whether every slot has a primary that responds, and what limits the durability of each, or is wrong with its clock. */
export async function engineState(topology: Topology): Promise<EngineState> {
  const problems: string[] = [];
  const limits = await Promise.all(
    topology.primaries().map(async (primary) => {
      try {
        const limits = await durabilityLimits(primary);
        const skew = primary.clock.skew();
        return skew ? [`${primary.name}: ${skew}`, ...limits] : limits;
      } catch (error) {
        problems.push(`${primary.name} does not answer: ${(error as Error).message}`);
        return [];
      }
    }),
  );
  const unassigned = topology.unassignedSlots();
  if (unassigned > 0) problems.push(`${unassigned} of ${SLOT_COUNT} slots have no server.`);
  return { ready: problems.length === 0, notes: [...problems, ...limits.flat()] };
}

/** What keeps a primary from promising more durability, a sentence each. */
export async function durabilityLimits(primary: Connection): Promise<string[]> {
  const { name } = primary;
  const info = await infoOf(primary, 'persistence', 'replication');
  const limits: string[] = [];
  if (info.get('aof_enabled') !== '1') {
    limits.push(
      `${name}: appendonly is off, so a restart of Redis loses all writes since its last snapshot.`,
    );
  } else if ((await configOf(primary, 'appendfsync')) === 'everysec') {
    limits.push(`${name}: appendfsync is everysec, so a power failure can lose the last second or two.`);
  }
  if (info.get('connected_slaves') === '0') {
    limits.push(`${name}: no replica, so its keys cannot be reached when it fails.`);
  }
  return limits;
}

/** The fields of some sections of INFO. */
export async function infoOf(connection: Connection, ...sections: string[]): Promise<Map<string, string>> {
  const deadline = performance.now() + TIMEOUT_MS;
  const text = ((await connection.send(['INFO', ...sections], deadline)) as Buffer).toString();
  const lines = text.split('\r\n').filter((line) => line.includes(':'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}

/** A parameter of the server's configuration; undefined if the user may not read it. */
async function configOf(connection: Connection, name: string): Promise<string | undefined> {
  try {
    const deadline = performance.now() + TIMEOUT_MS;
    return ((await connection.send(['CONFIG', 'GET', name], deadline)) as Buffer[])[1]?.toString();
  } catch {
    return undefined;
  }
}
