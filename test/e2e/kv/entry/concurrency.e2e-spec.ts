import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../../../support/http.js';
import { batch, expectProblem, stored, valueOf } from '../../../support/kv.js';
import { shortOrLong } from '../../../support/long-run.js';
import type { Target } from '../../../support/target.js';
import { CLUSTERS, describeOn, TARGETS } from '../../../support/ways.js';

const CLIENTS = 64;
const SUCCESSES = shortOrLong(50, 500);
const EACH = shortOrLong(20, 50);
const BACK_OFF_MS = 100;

/** Of the lines of an export. */
function sumOf(lines: readonly string[]): number {
  return lines.reduce((sum, line) => sum + Number((JSON.parse(line) as { value: string }).value), 0);
}

describeOn([...TARGETS, ...CLUSTERS])('$name', ({ start, lacks }) => {
  let target: Target;
  beforeAll(async () => {
    target = await start();
  });
  afterAll(() => target.close());

  function clients(work: (client: number) => Promise<void>): Promise<void[]> {
    return Promise.all(Array.from({ length: CLIENTS }, (_, client) => work(client)));
  }

  test('64 clients that increment by If-Match lose no update', async () => {
    await stored(target.port, 'by-match', '0');
    let successes = 0;
    let refused = 0;
    let attempts = 0;
    await clients(async () => {
      while (successes < SUCCESSES && attempts++ < SUCCESSES * CLIENTS * 4) {
        const { text, headers } = await ask(target.port, '/kv/by-match');
        const { status } = await ask(target.port, '/kv/by-match', {
          method: 'PUT',
          body: String(Number(text) + 1),
          headers: { 'If-Match': headers.etag! },
        });
        expect([200, 412]).toContain(status);
        if (status === 200) {
          successes++;
        } else {
          refused++;
          // As a client should: without it almost all of the time goes into attempts that fail.
          await sleep(Math.random() * BACK_OFF_MS);
        }
      }
    });
    const final = Number(await valueOf(target.port, 'by-match'));
    console.log(`increments by If-Match: ${successes} done, ${refused} refused, ${successes - final} lost`);
    expect(successes).toBeGreaterThanOrEqual(SUCCESSES);
    expect(final).toBe(successes);
  });

  test('64 clients that count by PATCH count exactly, and none sees the same number', async () => {
    const seen = new Set<string>();
    await clients(async () => {
      for (let i = 0; i < EACH; i++) {
        const { status, text } = await ask(target.port, '/kv/counter?incr=1', { method: 'PATCH' });
        expect([200, 201]).toContain(status);
        seen.add(text);
      }
    });
    expect(await valueOf(target.port, 'counter')).toBe(String(CLIENTS * EACH));
    expect(seen.size).toBe(CLIENTS * EACH);
  });

  test('of 64 clients that create a key one does', async () => {
    const statuses: number[] = [];
    await clients(async (client) => {
      const headers = { 'If-None-Match': '*' };
      const answer = await ask(target.port, '/kv/created', { method: 'PUT', body: String(client), headers });
      statuses.push(answer.status);
    });
    expect(statuses.filter((status) => status === 201)).toHaveLength(1);
    expect(statuses.filter((status) => status === 412)).toHaveLength(CLIENTS - 1);
  });

  test('a batch with one bad operation of 100 does nothing, and harms no neighbour', async () => {
    const ops = (round: number) =>
      Array.from({ length: 100 }, (_, i) =>
        i === 60
          ? { op: 'check', key: '{t}absent', ifMatch: '*' }
          : { op: 'put', key: `{t}applied/${round}/${i}`, value: 'v' },
      );
    await Promise.all(
      Array.from({ length: 10 }, async (_, round) => {
        const [failed, neighbour] = await Promise.all([
          batch(target.port, ops(round)),
          ask(target.port, `/kv/neighbour/${round}`, { method: 'PUT', body: 'v' }),
        ]);
        expect(expectProblem(failed, 412, 'precondition-failed')).toMatchObject({ index: 60 });
        expect(neighbour.status).toBe(201);
      }),
    );
    const count = async (prefix: string) =>
      (await ask(target.port, `/kv?prefix=${prefix}`, { method: 'HEAD' })).headers['kv-count'];
    expect(await count('{t}applied/')).toBe('0');
    expect(await count('neighbour/')).toBe('10');
  });

  test('transfers by batch keep the sum, in every export too', async () => {
    const accounts = Array.from({ length: 8 }, (_, i) => `{t}account/${i}`);
    await batch(
      target.port,
      accounts.map((key) => ({ op: 'put', key, value: '100' })),
    );
    let busy = true;
    let exports = 0;
    const watching = (async () => {
      while (busy) {
        const headers = { Accept: 'application/x-ndjson' };
        const { text } = await ask(target.port, '/kv?prefix={t}account/', { headers });
        const values = text.split('\n').slice(0, accounts.length);
        expect(values).toHaveLength(accounts.length);
        if (!lacks.includes('snapshots')) expect(sumOf(values)).toBe(800);
        exports++;
      }
    })();
    await clients(async (client) => {
      for (let i = 0; i < 10; i++) {
        const [from, to] = [accounts[client % 8]!, accounts[(client + i + 1) % 8]!];
        const answer = await batch(target.port, [
          { op: 'incr', key: from, by: -i },
          { op: 'incr', key: to, by: i },
        ]);
        expect(answer.status).toBe(200);
      }
    });
    busy = false;
    await watching;
    expect(exports).toBeGreaterThan(0);
    const values = await Promise.all(accounts.map((key) => valueOf(target.port, key)));
    expect(values.reduce((sum, value) => sum + Number(value), 0)).toBe(800);
  });
});
