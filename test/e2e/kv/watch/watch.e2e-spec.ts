import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ask, eachAtOnce } from '../../../support/http.js';
import { batch, expectProblem, freshKey, NDJSON, pathOf, put, stored } from '../../../support/kv.js';
import { EventStream, toldOf, type SentEvent } from '../../../support/events.js';
import { longTest } from '../../../support/long-run.js';
import type { Target } from '../../../support/target.js';
import { CLUSTERS, describeOn, TARGETS } from '../../../support/ways.js';

const ACCEPT = { Accept: 'text/event-stream' };
const ID = expect.stringMatching(/^[\w-]{6,2000}$/);
const TAG = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{13}(?:-[0-9a-f]{12})?$/);

describeOn([...TARGETS, ...CLUSTERS])('watching, $name', ({ start, lacks }) => {
  // Without one order of all changes, a position is too long to go with each of them.
  const isOrdered = !lacks.includes('totalOrder');
  const id = isOrdered ? { id: ID } : {};
  let target: Target;
  const open: EventStream[] = [];
  beforeAll(async () => {
    target = await start();
  });
  afterAll(async () => {
    for (const stream of open) stream.close();
    await target.close();
  });

  async function live(path: string, headers = {}): Promise<EventStream> {
    const stream = await EventStream.live(target.port, path, headers);
    open.push(stream);
    return stream;
  }

  const remove = (key: string) => ask(target.port, pathOf(key), { method: 'DELETE' });
  const prefixed = (prefix: string) => `/kv?prefix=${encodeURIComponent(prefix)}`;

  test('shows the snapshot without ids, says ready, then tells of every change', async () => {
    const prefix = `${freshKey()}/`;
    const etags = [
      await stored(target.port, `${prefix}a`, '1'),
      await stored(target.port, `${prefix}b`, '2'),
    ];
    const stream = await live(prefixed(prefix));
    const third = await stored(target.port, `${prefix}a`, '3');
    await remove(`${prefix}b`);
    await stream.until(({ event }) => event === 'delete');
    const told = stream.events;
    const bare = (etag: string) => etag.slice(1, -1);
    const text = { type: 'text/plain; charset=utf-8', size: 1, expires: null };
    expect(told).toEqual([
      { event: 'put', data: expect.any(String) },
      { event: 'put', data: expect.any(String) },
      { id: ID, event: 'ready', data: '{}' },
      { ...id, event: 'put', data: expect.any(String) },
      { ...id, event: 'delete', data: expect.any(String) },
    ]);
    expect([0, 1, 3].map((i) => toldOf(told[i]!))).toEqual([
      { key: `${prefix}a`, etag: bare(etags[0]!), ...text, value: '1' },
      { key: `${prefix}b`, etag: bare(etags[1]!), ...text, value: '2' },
      { key: `${prefix}a`, etag: bare(third), ...text, value: '3' },
    ]);
    const removal = told[4]!;
    expect(toldOf(removal)).toEqual({ key: `${prefix}b`, etag: TAG });
    expect(toldOf(removal).etag > bare(etags[1]!)).toBe(true);
  });

  test('whoever is cut off within the snapshot starts anew, because nothing in it has an id, not even a change', async () => {
    const prefix = `${freshKey()}/`;
    // More than the connection takes while nobody reads.
    const keys = Array.from({ length: 300 }, (_, i) => prefix + String(i).padStart(3, '0'));
    await eachAtOnce(keys, 8, (key) => stored(target.port, key, 'x'.repeat(60_000)));
    const stream = await EventStream.open(target.port, prefixed(prefix));
    open.push(stream);
    await stream.until(({ event }) => event === 'put');
    stream.response.pause();
    const etag = await stored(target.port, keys[0]!, 'changed');
    stream.response.resume();
    await stream.told(keys[0]!, etag.slice(1, -1));
    await stream.until(({ event }) => event === 'ready');
    const { events } = stream;
    expect(events.at(-1)).toEqual({ id: ID, event: 'ready', data: '{}' });
    expect(events.length).toBe(keys.length + 2);
    expect(events.slice(0, -1).filter((each) => each.id !== undefined)).toEqual([]);
  });

  test('begins with the time after which to come again, and nothing but events follows', async () => {
    const key = freshKey();
    await stored(target.port, key, 'a\nb\r\nc\n\ndata: x\n\nevent: delete');
    const stream = await live(pathOf(key));
    expect(stream.text).toMatch(/^retry: 1000\n\n/);
    for (const block of stream.text.split('\n\n').slice(1, -1))
      expect(block).toMatch(/^(id: \S+\n)?event: \w+\ndata: .+$/);
  });

  test('has the headers of a stream that nobody buffers or keeps', async () => {
    const { response } = await live('/kv?prefix=none');
    expect(response.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      vary: expect.stringContaining('Accept'),
      'x-content-type-options': 'nosniff',
    });
    expect(response.headers['content-length']).toBeUndefined();
    expect(response.headers.etag).toBeUndefined();
  });

  test.each([
    ['a line of its own', 'a\nb\r\n\r\nc\rd'],
    ['a field', 'data: {"key":"x"}\n\nevent: reset\ndata: {}'],
    ['nothing', ''],
    ['separators of other languages', '\u2028\u2029\u0085\u0000\ufeff'],
    ['all planes', 'ä€😀'],
    ['nearly 64 KiB', 'x'.repeat(65_300)],
  ])('gives a text back in the snapshot and live: %s', async (_name, text) => {
    const [shown, told] = [freshKey(), freshKey()];
    await stored(target.port, shown, text);
    const streams = [await live(pathOf(shown)), await live(pathOf(told))];
    await stored(target.port, told, text);
    expect(toldOf(streams[0]!.events[0]!).value).toBe(text);
    expect(toldOf(await streams[1]!.told(told)).value).toBe(text);
  });

  test('gives bytes that are no text as base64, and leaves out what would make a line longer than 64 KiB', async () => {
    // Keys of one tag have one order, on a cluster too.
    const prefix = `{${freshKey()}}/`;
    const bytes = Buffer.from([0xff, 0, 10, 13, 0xc3]);
    const write = async (name: string) => {
      await stored(target.port, `${prefix}${name}1`, bytes, { 'Content-Type': 'image/png' });
      await stored(target.port, `${prefix}${name}2`, Buffer.alloc(65_537, 'y'));
    };
    await write('shown');
    const stream = await live(prefixed(prefix));
    await write('told');
    await stream.told(`${prefix}told2`);
    const puts = stream.events.filter(({ event }) => event === 'put').map(toldOf);
    expect(puts.map(({ base64, value, size, type }) => ({ base64, value, size, type }))).toEqual(
      ['shown', 'told'].flatMap(() => [
        { base64: bytes.toString('base64'), value: undefined, size: 5, type: 'image/png' },
        { base64: undefined, value: undefined, size: 65_537, type: 'text/plain; charset=utf-8' },
      ]),
    );
  });

  test('tells that an entry has expired, and a put that it will', async () => {
    const key = freshKey();
    const stream = await live(pathOf(key));
    await ask(target.port, `${pathOf(key)}?ttl=1`, { method: 'PUT', body: 'x' });
    const gone = await stream.until(({ event }) => event === 'expire');
    const [ready, made, ...others] = stream.events;
    expect(toldOf(made!).expires).toMatch(/^\d{4}-.*Z$/);
    expect(toldOf(gone)).toEqual({ key, etag: TAG });
    expect(toldOf(gone).etag > toldOf(made!).etag).toBe(true);
    expect([ready!.event, made!.event, ...others]).toEqual(['ready', 'put', gone]);
  });

  test('follows one key by path and by parameter, a prefix, and everything', async () => {
    const base = freshKey();
    const key = `${base}/ä😀`;
    const paths = [pathOf(key), `/kv?key=${encodeURIComponent(key)}`, prefixed(`${base}/ä`), '/', '/kv'];
    const streams = await Promise.all(paths.map((path) => live(path)));
    await stored(target.port, `${base}/other`, 'x');
    await stored(target.port, `${key}x`, 'x');
    const etag = (await stored(target.port, key, 'x')).slice(1, -1);
    await Promise.all(streams.map((stream) => stream.told(key, etag)));
    await Promise.all(streams.slice(3).map((stream) => stream.told(`${base}/other`)));
    await Promise.all(streams.slice(2).map((stream) => stream.told(`${key}x`)));
    const told = streams.map((stream) =>
      stream.events
        .slice(stream.names.indexOf('ready') + 1)
        .map((event) => toldOf(event).key.slice(base.length)),
    );
    const all = ['/other', '/ä😀x', '/ä😀'];
    const expected = [['/ä😀'], ['/ä😀'], ['/ä😀x', '/ä😀'], all, all];
    const comparable = (keys: string[]) => (isOrdered ? keys : keys.toSorted());
    expect(told.map(comparable)).toEqual(expected.map(comparable));
  });

  test('an absent key is 200 and ready, and its first put is told', async () => {
    const key = freshKey();
    const stream = await live(pathOf(key));
    expect(stream.names).toEqual(['ready']);
    await stored(target.port, key, 'x');
    await stream.told(key);
  });

  test('since=now leaves out the snapshot, and an id goes on behind itself', async () => {
    const key = freshKey();
    await stored(target.port, key, '1');
    const now = await live(`${pathOf(key)}?since=now`);
    expect(now.names).toEqual(['ready']);
    const first = now.lastId!;
    const etag = (await stored(target.port, key, '2')).slice(1, -1);
    const seen = ({ events }: EventStream) => events.map((each) => [each.event, toldOf(each).etag, each.id]);
    const behind = [
      ['put', etag, id.id],
      ['ready', undefined, ID],
    ];
    const byQuery = await live(`${pathOf(key)}?since=${first}`);
    expect(seen(byQuery)).toEqual(behind);
    for (const since of ['now', byQuery.lastId!, 'garbage']) {
      const byHeader = await live(`${pathOf(key)}?since=${since}`, { 'Last-Event-ID': first });
      expect(seen(byHeader)).toEqual(behind);
    }
    for (const last of byQuery.events.flatMap((each) => each.id ?? []))
      expect((await live(pathOf(key), { 'Last-Event-ID': last })).names).toEqual(['ready']);
  });

  test.each(['garbage', 'now', '0', '00000001-0000000000001', 'ffffffff-fffffffffffff', '%00', 'a b'])(
    'an id that cannot be served is a reset and a snapshot: %s',
    async (id) => {
      const key = freshKey();
      await stored(target.port, key, 'x');
      const stream = await live(pathOf(key), { 'Last-Event-ID': id });
      expect(stream.names).toEqual(['reset', 'put', 'ready']);
      expect(stream.events[0]).toEqual({ event: 'reset', data: '{}' });
    },
  );

  test.each(['limit=1', 'after=a', 'delimiter=%2F', 'reverse=true', 'count=true', 'values=true', 'sinc=now'])(
    '%s on a watch is 400',
    async (parameter) => {
      for (const path of [`/kv?prefix=a&${parameter}`, `/kv?key=a&${parameter}`, `/kv/a?${parameter}`]) {
        const answer = await ask(target.port, path, { headers: ACCEPT });
        expectProblem(answer, 400, 'invalid-parameter');
      }
      expect((await ask(target.port, `/?${parameter}`, { headers: ACCEPT })).status).toBe(400);
    },
  );

  test.each(['/kv/', `/kv/${'k'.repeat(1025)}`])(
    'a key that cannot be is 400, not a stream: %s',
    async (path) => {
      const answer = await ask(target.port, path, { headers: ACCEPT });
      expectProblem(answer, 400, 'invalid-key');
    },
  );

  test('a prefix that is half a character is 400 and harms nobody', async () => {
    const stream = await live(prefixed('😀'));
    for (const half of ['%ED%A0%BD', '%F0%9F', '%F0%9F%98', '%ff']) {
      const answer = await ask(target.port, `/kv?prefix=${half}`, { headers: ACCEPT });
      expect(answer.status).toBe(400);
    }
    await stored(target.port, '😀1', 'x');
    await stream.told('😀1');
  });

  test('HEAD never streams', async () => {
    await stored(target.port, 'head', 'x');
    for (const path of ['/kv/head', '/kv?key=head', '/kv?prefix=head', '/']) {
      const answer = await ask(target.port, path, { method: 'HEAD', headers: ACCEPT });
      expect(answer.status).toBe(200);
      expect(answer.headers['content-type']).not.toContain('event-stream');
    }
  });

  test.each([
    ['text/event-stream', true],
    ['application/json, text/event-stream;q=0.9', false],
    ['application/json, text/event-stream', false],
    ['application/json;q=0.8, text/event-stream;q=0.9', true],
    ['text/event-stream;q=0.1', true],
    ['text/event-stream, */*;q=0.1', true],
    ['text/event-stream;q=0.5, */*;q=0.8', false],
    ['text/event-stream;q=0.5, */*;q=0.8, application/json;q=0.2', true],
    ['text/event-stream;q=0.5, application/*;q=0.7, */*;q=0.1', false],
    ['text/event-stream;q=0.5, application/json;q=0', true],
    ['text/event-stream;q=2', false],
    ['text/html;x="a, text/event-stream"', false],
    ['text/html;x="a\\", b", text/event-stream', true],
    ['TEXT/EVENT-STREAM', true],
    ['text/event-stream ;charset=utf-8; q=0.001,*/*;q=0', true],
    ['text/event-stream ;charset=utf-8; q=0.001,*/*', false],
    ['text/event-stream;q=0', false],
    ['*/*, text/event-stream; Q=0.000', false],
    ['*/*', false],
    ['text/*', false],
    ['text/event-streams', false],
  ])('Accept: %s streams: %s', async (accept, streams) => {
    const opened = EventStream.open(target.port, '/kv?prefix=none/', { Accept: accept });
    const { response, ...stream } = await opened;
    expect(response.headers['content-type'] === 'text/event-stream').toBe(streams);
    response.destroy();
    await stream.ended;
  });

  test('?watch=true asks for events whatever Accept says, of everything that can be read', async () => {
    const key = freshKey();
    const paths = [pathOf(key), `/kv?key=${key}`, `/kv?prefix=${key}`, '/kv', '/'];
    for (const path of paths) {
      const question = `${path}${path.includes('?') ? '&' : '?'}watch=true`;
      for (const accept of ['*/*', 'application/json', 'text/event-stream;q=0', 'application/x-ndjson']) {
        const { response } = await live(`${question}&since=now`, { Accept: accept });
        expect(response.headers['content-type']).toBe('text/event-stream');
        response.destroy();
      }
    }
  });

  test('?watch=false is as good as nothing, and HEAD never streams', async () => {
    const key = freshKey();
    await stored(target.port, key, 'x');
    for (const path of [`${pathOf(key)}?`, `/kv?prefix=${key}&`]) {
      expect((await ask(target.port, `${path}watch=false`)).status).toBe(200);
      expect((await ask(target.port, `${path}watch=true`, { method: 'HEAD' })).status).toBe(200);
      expectProblem(await ask(target.port, `${path}watch=yes`), 400, 'invalid-parameter');
      expectProblem(await ask(target.port, `${path}watch=true&watch=true`), 400, 'invalid-parameter');
    }
    expectProblem(
      await ask(target.port, `${pathOf(key)}?watch=true`, { method: 'PUT' }),
      400,
      'invalid-parameter',
    );
  });

  test.each([
    ['text/event-stream', true],
    ['text/event-stream, image/*;q=0.5', true],
    ['text/event-stream;q=0.5, image/png', false],
    ['text/event-stream, text/plain', false],
    ['*/*', false],
  ])('Accept: %s streams one entry, whatever its type: %s', async (accept, streams) => {
    const key = freshKey();
    await stored(target.port, key, 'x');
    const { response, ...stream } = await EventStream.open(target.port, pathOf(key), { Accept: accept });
    expect(response.headers['content-type'] === 'text/event-stream').toBe(streams);
    response.destroy();
    await stream.ended;
  });

  test('a batch, an import and a range delete tell one event for each change, in order', async () => {
    const prefix = `{${freshKey()}}/`;
    const stream = await live(prefixed(prefix));
    await batch(target.port, [
      { op: 'put', key: `${prefix}a`, value: '1' },
      { op: 'put', key: `${prefix}a`, value: '2' },
      { op: 'incr', key: `${prefix}n`, by: 5 },
      { op: 'delete', key: `${prefix}absent` },
      { op: 'get', key: `${prefix}a` },
    ]);
    const refusing = { op: 'check', key: `${prefix}a`, ifMatch: 'another' };
    await batch(target.port, [{ op: 'put', key: `${prefix}no`, value: 'x' }, refusing]);
    await batch(target.port, [refusing, { op: 'put', key: `${prefix}p`, value: 'x' }], false);
    const lines = ['x', 'y', 'z'].map((name) =>
      JSON.stringify({ key: `${prefix}${name}`, type: 'a/b', value: name }),
    );
    await ask(target.port, '/kv', { method: 'POST', headers: NDJSON, body: `${lines.join('\n')}\n` });
    await ask(target.port, prefixed(prefix), { method: 'DELETE' });
    await stored(target.port, `${prefix}last`, 'x');
    await stream.told(`${prefix}last`);
    const short = (event: SentEvent) => `${event.event} ${toldOf(event).key.slice(prefix.length)}`;
    const told = stream.events.slice(1).map(short);
    const puts = 'put a, put a, put n, put p, put x, put y, put z, ';
    expect(told.join(', ')).toBe(
      `${puts}delete a, delete n, delete p, delete x, delete y, delete z, put last`,
    );
    const ids = stream.events.flatMap((each) => each.id ?? []);
    if (!lacks.includes('orderedTags')) expect(ids).toEqual(ids.toSorted());
    if (isOrdered) expect(new Set(ids).size).toBe(stream.events.length);
  });

  test('every way to change an entry is told, and what changes nothing is not', async () => {
    const key = freshKey();
    const stream = await live(pathOf(key));
    const patch = (query: string) => ask(target.port, `${pathOf(key)}${query}`, { method: 'PATCH' });
    await remove(key);
    await patch('?incr=1');
    await patch('?ttl=1h');
    expect((await put(target.port, key, 'x', { 'If-None-Match': '*' })).status).toBe(412);
    await put(target.port, key, '1');
    await remove(key);
    await remove(key);
    await stored(target.port, key, 'end');
    await stream.until(({ data, event }) => event === 'put' && data.includes('"end"'));
    const names = stream.events.map(({ event }) => event);
    expect(names).toEqual(['ready', 'put', 'put', 'put', 'delete', 'put']);
  });
});

longTest('a quiet watcher hears a heartbeat whose id a client can come back with', async () => {
  const target = await TARGETS[1]!.start();
  const stream = await EventStream.live(target.port, '/kv?prefix=quiet/');
  await stored(target.port, 'noise', 'x');
  const beat = await stream.heartbeat();
  expect(beat).toEqual({ id: ID, event: 'heartbeat', data: '{}' });
  expect(beat.id! > stream.events[0]!.id!).toBe(true);
  const again = await EventStream.live(target.port, '/kv?prefix=', { 'Last-Event-ID': beat.id });
  expect(again.names).toEqual(['ready']);
  stream.close();
  again.close();
  await target.close();
});
