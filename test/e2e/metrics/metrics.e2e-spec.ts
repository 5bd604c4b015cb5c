import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../../support/eventually.js';
import { ask, eachAtOnce, setPath } from '../../support/http.js';
import { scrape, type Scrape } from '../../support/metrics.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { ADMIN, bearer, issue } from '../../support/tokens.js';

const AS_ADMIN = { headers: bearer(ADMIN) };
const REQUESTS = 'pigeonhole_http_requests_total';

let server: ServerProcess;
let before: Scrape;
beforeAll(async () => {
  server = await startServer({ ADMIN_TOKEN: ADMIN });
});
afterAll(() => server.end());

/** How much a figure has grown since `before`. */
function growth(after: Scrape, name: string, labels: Record<string, string> = {}): number {
  return (after.sum(name, labels) ?? 0) - (before.sum(name, labels) ?? 0);
}

async function send(method: string, path: string, headers = {}, body?: string): Promise<number> {
  return (await ask(server.port, path, { method, headers: { ...bearer(ADMIN), ...headers }, body })).status;
}

test('every request is counted, by method, the template of its route, and status', async () => {
  before = await scrape(server.port, AS_ADMIN);
  await send('PUT', '/kv/a', {}, '1');
  await send('PUT', '/kv/a', { 'If-None-Match': '*' }, '1');
  await send('GET', '/kv?key=a');
  await send('GET', '/tokens/no-such-token');
  await send('GET', '/problems/busy');
  await send('POST', '/get');
  await send('GET', '/nowhere');
  await ask(server.port, '/get?key=a');
  const after = await scrape(server.port, AS_ADMIN);
  const counted = (labels: Record<string, string>) => growth(after, REQUESTS, labels);
  expect([
    counted({ method: 'PUT', route: '/kv/{key}', code: '201' }),
    counted({ method: 'PUT', route: '/kv/{key}', code: '412' }),
    counted({ method: 'GET', route: '/kv/{key}', code: '200' }),
    counted({ method: 'GET', route: '/tokens/{id}', code: '404' }),
    counted({ method: 'GET', route: '/problems/{code}', code: '200' }),
    counted({ method: 'other', route: '/get', code: '405' }),
    counted({ method: 'GET', route: 'none', code: '404' }),
    counted({ method: 'GET', route: 'none', code: '401' }),
    counted({ method: 'GET', route: '/metrics', code: '200' }),
  ]).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1]);
  const timed = { method: 'PUT', route: '/kv/{key}' };
  expect(growth(after, 'pigeonhole_http_request_duration_seconds_count', timed)).toBe(2);
  expect(after.sum('pigeonhole_http_requests_in_flight')).toBe(1);
});

test('what the database does is counted', async () => {
  before = await scrape(server.port, AS_ADMIN);
  await send('PUT', '/kv/b?ttl=1ms', {}, 'x');
  await send('PUT', '/kv/c', {}, 'x');
  await send('DELETE', '/kv/c');
  await send('DELETE', '/kv/c');
  await send('PUT', '/kv/a', { 'If-Match': '"x"' }, 'x');
  let after!: Scrape;
  await eventually(async () => {
    after = await scrape(server.port, AS_ADMIN);
    return growth(after, 'pigeonhole_changes_total', { kind: 'expire' }) === 1;
  });
  expect(growth(after, 'pigeonhole_changes_total', { kind: 'put' })).toBe(2);
  expect(growth(after, 'pigeonhole_changes_total', { kind: 'delete' })).toBe(1);
  expect(growth(after, 'pigeonhole_conditions_failed_total')).toBe(1);
  expect(growth(after, 'pigeonhole_commit_duration_seconds_count')).toBeGreaterThanOrEqual(5);
  expect(after.sum('pigeonhole_entries')).toBe(1);
  for (const name of ['stored', 'room', 'free', 'log'])
    expect(after.sum(`pigeonhole_${name}_bytes`)).toBeGreaterThan(0);
  expect(after.sum('pigeonhole_oldest_change_timestamp_seconds')).toBeGreaterThan(1_600_000_000);
});

test('whatever clients send, there are no more series', async () => {
  const wave = async (name: string) => {
    const times = Array.from({ length: 100 }, (_, i) => `${name}${i}`);
    await eachAtOnce(times, 8, async (text) => {
      await send('GET', `/kv/${text}`);
      await send('GET', `/${text}`);
      await send('GET', `/tokens/${text}`);
      await send('GET', `/problems/${text}`);
      await send('REPORT', setPath(text, text));
      // From elsewhere: whoever presents many wrong tokens is not heard any more.
      await ask(server.port, '/', { headers: bearer(text), localAddress: '127.0.0.2' });
    });
    return (await scrape(server.port, AS_ADMIN)).samples.length;
  };
  await wave('first');
  expect(await wave('second')).toBe(await wave('third'));
});

describe('with tokens', () => {
  test('the figures need the right `monitor`', async () => {
    const { token: reader } = await issue(server.port, { can: ['read', 'write', 'admin'] });
    const { token: monitor } = await issue(server.port, { can: ['monitor'] });
    for (const path of ['/metrics', '/stats']) {
      const statusFor = async (headers: object) =>
        (await ask(server.port, path, { headers: { ...headers } })).status;
      expect([
        await statusFor({}),
        await statusFor(bearer(reader)),
        await statusFor(bearer(monitor)),
      ]).toEqual([401, 403, 200]);
    }
  });

  test('a namespace sees nothing of what concerns the whole database', async () => {
    const { token } = await issue(server.port, { can: ['monitor', 'read'], namespace: 'app/' });
    const headers = bearer(token);
    const metrics = await ask(server.port, '/metrics', { headers });
    expect({ status: metrics.status, text: metrics.text }).toEqual({
      status: 403,
      text: expect.stringContaining('namespace'),
    });
    const { version, engine, started, now, health, changes, ...parts } = JSON.parse(
      (await ask(server.port, '/stats', { headers })).text,
    );
    expect(changes).toEqual([]);
    expect([version, engine, started, now].every((text) => typeof text === 'string')).toBe(true);
    expect(health).toMatchObject({ status: 'ok' });
    expect(new Set(Object.values(parts))).toEqual(new Set([null]));
  });

  test('/stats shows the newest changes: of a namespace no other, to who may not read none', async () => {
    const namespace = 'team/';
    const can = ['read', 'write', 'monitor', 'admin'];
    const lead = await issue(server.port, { can, namespace });
    const other = await issue(server.port, { can: ['write'], namespace });
    const write = async (path: string, token: string, method = 'PUT') =>
      ask(server.port, path, { method, headers: bearer(token), body: method === 'PUT' ? 'x' : undefined });
    await write('/kv/team/', ADMIN);
    await write('/kv/team/of-admin', ADMIN);
    await write('/kv/own', lead.token);
    await write('/kv/teams', ADMIN);
    await write('/kv/by-other', other.token);
    await write('/kv/own', lead.token, 'DELETE');
    const seenWith = async (token: string) => {
      const { text } = await ask(server.port, '/stats', { headers: bearer(token) });
      return JSON.parse(text).changes;
    };
    const shown = await seenWith(lead.token);
    const [removal, put] = shown;
    expect(shown.map(({ key, kind, by }: Record<string, string>) => [key, kind, by])).toEqual([
      ['own', 'delete', lead.id],
      ['by-other', 'put', null],
      ['own', 'put', lead.id],
      ['of-admin', 'put', null],
    ]);
    expect(removal).toMatchObject({ type: null, size: null, time: expect.stringMatching(/^\d{4}-.*Z$/) });
    expect(put).toMatchObject({ type: 'text/plain; charset=utf-8', size: 1 });
    const all = await seenWith(ADMIN);
    expect(all.slice(0, 6).map(({ key, by }: Record<string, string>) => [key, by])).toEqual([
      ['team/own', lead.id],
      ['team/by-other', other.id],
      ['teams', 'admin'],
      ['team/own', lead.id],
      ['team/of-admin', 'admin'],
      ['team/', 'admin'],
    ]);
    expect(all.length).toBeLessThanOrEqual(20);
    const entry = await ask(server.port, '/kv/team/of-admin', AS_ADMIN);
    expect(entry.headers.etag).toBe(`"${all[4].etag}"`);
    const { token: monitor } = await issue(server.port, { can: ['monitor'] });
    expect(await seenWith(monitor)).toBeNull();
  });

  test('/stats says what /metrics says', async () => {
    const stats = JSON.parse((await ask(server.port, '/stats', AS_ADMIN)).text);
    const shown = await scrape(server.port, AS_ADMIN);
    expect(stats).toMatchObject({
      store: { entries: shown.sum('pigeonhole_entries'), corruptRecords: 0, scans: 0 },
      writes: { puts: shown.sum('pigeonhole_changes_total', { kind: 'put' }), queuedBytes: 0 },
      access: { failures: shown.sum('pigeonhole_auth_failures_total') },
      // That of /stats itself came after.
      requests: { total: shown.sum(REQUESTS)! - 1, inFlight: 1 },
      workers: { configured: 1, silent: 0 },
    });
    expect(stats.requests.perSecond).toBeGreaterThan(0);
    expect(stats.requests.p50).toBeLessThanOrEqual(stats.requests.p99);
  });
});

test('watches, long-polls and those over a limit are counted, and take no part in durations', async () => {
  before = await scrape(server.port, AS_ADMIN);
  const { token } = await issue(server.port, { can: ['read'], limits: { requests: 1 } });
  for (let i = 0; i < 3; i++) await ask(server.port, '/get?key=a', { headers: bearer(token) });
  const wait = { ...AS_ADMIN, headers: { ...AS_ADMIN.headers, Prefer: 'wait=30' } };
  const held = ask(server.port, '/kv/absent', wait);
  await eventually(async () => (await scrape(server.port, AS_ADMIN)).sum('pigeonhole_watchers') === 1);
  await send('PUT', '/kv/absent', {}, 'x');
  await held;
  const after = await scrape(server.port, AS_ADMIN);
  expect(growth(after, 'pigeonhole_rate_limited_total')).toBe(2);
  expect(growth(after, REQUESTS, { method: 'GET', route: '/kv/{key}', code: '200' })).toBe(1);
  const timed = { method: 'GET', route: '/kv/{key}' };
  expect(growth(after, 'pigeonhole_http_request_duration_seconds_count', timed)).toBe(0);
  expect(after.sum('pigeonhole_watchers')).toBe(0);
});
