import { expect, test } from '@jest/globals';
import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { ask } from '../../support/http.js';
import { NDJSON } from '../../support/kv.js';
import { describeWaits, waitsDuring } from '../../support/probe.js';
import { startServer } from '../../support/server.js';

const ROUNDS = Number(process.env['CRASH_ROUNDS'] ?? 3);
/** A million in a long run of 100 rounds. */
const ENTRIES = ROUNDS * 10_000;
const IMPORT_MS = 5_000 + ENTRIES / 20;
/** Ten times the limits of the long runs. */
const HANG_MS = 500;
const ALL_EXPIRED_HANG_MS = 100_000;

/** Counts the `expire` events of a server. */
class ExpireCounter {
  count = 0;
  resets = 0;

  constructor(port: number) {
    const headers = { Accept: 'text/event-stream' };
    let rest = '';
    http.get({ host: '127.0.0.1', port, path: '/?since=now', headers }, (response) => {
      response.setEncoding('latin1').on('data', (text: string) => {
        const events = (rest + text).split('\n\n');
        rest = events.pop()!;
        for (const event of events) {
          if (event.includes('event: expire')) this.count++;
          if (event.includes('event: reset')) this.resets++;
        }
      });
      response.on('error', () => undefined);
    });
  }
}

test(
  `${ENTRIES} entries that expire in the same second hold nobody up, and all events go out`,
  async () => {
    const server = await startServer();
    await ask(server.port, '/set?read=value');
    const end = Date.now() + IMPORT_MS;
    const line = (i: number) =>
      `${JSON.stringify({ key: `k/${i}`, value: 'x', expires: new Date(end + (i % 1000)).toISOString() })}\n`;
    const body = Array.from({ length: ENTRIES }, (_, i) => line(i)).join('');
    const answer = await ask(server.port, '/kv', { method: 'POST', headers: NDJSON, body });
    expect(JSON.parse(answer.text)).toMatchObject({ created: ENTRIES });
    const events = new ExpireCounter(server.port);
    await pause(Math.max(0, end + 1000 - Date.now()));

    const start = performance.now();
    let pages = 0;
    const waits = await waitsDuring(server.port, 'read', async () => {
      while (events.count < ENTRIES && performance.now() - start < ALL_EXPIRED_HANG_MS) {
        const page = await ask(server.port, '/kv?count=true&limit=10');
        expect([
          page.headers['kv-count'],
          (JSON.parse(page.text) as { items: object[] }).items.length,
        ]).toEqual(['1', 1]);
        expect((await ask(server.port, '/kv?prefix=k', { method: 'HEAD' })).headers['kv-count']).toBe('0');
        pages++;
      }
    });
    const seconds = (performance.now() - start) / 1000;
    process.stdout.write(
      `expiry: ${ENTRIES} entries, ${events.count} events, ${events.resets} resets, ${seconds.toFixed(1)} s, ` +
        `${pages} pages and counts, ${describeWaits(waits)}\n`,
    );
    expect([events.count, events.resets]).toEqual([ENTRIES, 0]);
    expect(waits.longest).toBeLessThan(HANG_MS);
    await server.end();
  },
  IMPORT_MS * 2 + ALL_EXPIRED_HANG_MS,
);
