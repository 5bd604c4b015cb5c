import http from 'node:http';
import { readdirSync, readFileSync } from 'node:fs';
import { eventually } from './eventually.js';
import { startServer, type ServerProcess } from './server.js';

/** Starts a server with so many workers, and waits until each serves. */
export async function startWorkers(
  count: number,
  settings: Record<string, string> = {},
): Promise<ServerProcess> {
  const server = await startServer({ ...settings, WORKERS: String(count) });
  await allServe(server);
  return server;
}

/** Waits until all workers serve for the given time, 1 being the start. */
export async function allServe({ output }: Pick<ServerProcess, 'output'>, time = 1): Promise<void> {
  await eventually(() => output().stdout.split(/All \d+ workers serve/).length > time, 'all workers');
}

/** The processes of a server with WORKERS that are there to serve. */
export function workersOf({ pid }: Pick<ServerProcess, 'pid'>): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && parentOf(Number(name)) === pid)
    .map(Number);
}

export function isAlive(pid: number): boolean {
  return parentOf(pid) !== undefined;
}

function parentOf(pid: number): number | undefined {
  try {
    // The name before it, in parentheses, may hold anything.
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ');
    return state === 'Z' ? undefined : Number(parent);
  } catch {
    return undefined;
  }
}

/** So many connections that each of `workers` has some of them; each of them is kept. */
export function manyConnections(workers: number): http.Agent[] {
  return Array.from({ length: 4 * workers }, () => new http.Agent({ keepAlive: true, maxSockets: 1 }));
}

/** What it has said on stdout, a line each, which are all JSON where there is no terminal. */
export function saidBy(of: Pick<ServerProcess, 'output'>): string[] {
  const lines = of.output().stdout.split('\n').slice(0, -1);
  return lines.map((line) => (JSON.parse(line) as { message: string }).message);
}

export function howMany(said: readonly string[], text: string): number {
  return said.filter((line) => line.includes(text)).length;
}
