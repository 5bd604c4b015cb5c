import http from 'node:http';
import { getPath } from './http.js';

const HANG_MS = 60_000;

/** What a client got that read one key again and again, and how long it waited for an answer, milliseconds. */
export interface Waits {
  readonly reads: number;
  readonly longest: number;
  readonly p99: number;
}

/** Reads `key` again and again while `work` is under way, each time as soon as the last answer is there. */
export async function waitsDuring(port: number, key: string, work: () => Promise<unknown>): Promise<Waits> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const waits: number[] = [];
  let isOver = false;
  const reading = (async () => {
    while (!isOver) {
      const start = performance.now();
      await read(port, key, agent);
      waits.push(performance.now() - start);
    }
  })();
  try {
    await Promise.race([work(), reading]);
  } finally {
    isOver = true;
    await reading;
    agent.destroy();
  }
  waits.sort((a, b) => a - b);
  return { reads: waits.length, longest: waits.at(-1)!, p99: waits[Math.floor(waits.length * 0.99)]! };
}

export function describeWaits({ reads, longest, p99 }: Waits): string {
  return `${reads} reads beside it, longest wait ${longest.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;
}

function read(port: number, key: string, agent: http.Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    http
      .get({ host: '127.0.0.1', port, path: getPath(key), agent, timeout: HANG_MS }, (response) => {
        if (response.statusCode === 200) response.resume().on('end', resolve);
        else reject(new Error(`the read was answered ${response.statusCode}`));
      })
      .on('timeout', () => reject(new Error('the read was not answered')))
      .on('error', reject);
  });
}
