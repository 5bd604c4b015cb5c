import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { bytesOf, Pigeonhole, type PigeonholeError } from '../../../src/client/pigeonhole.js';
import { freshKey } from '../../support/kv.js';
import { ENGINES, type Target } from '../../support/target.js';

/** Lets a failed call be looked at. */
async function failure(call: Promise<unknown>): Promise<PigeonholeError> {
  return call.then(
    () => {
      throw new Error('The call has succeeded.');
    },
    (error: PigeonholeError) => error,
  );
}

describe.each(ENGINES)('the client with $name', ({ start }) => {
  let target: Target;
  let db: Pigeonhole;

  beforeAll(async () => {
    target = await start();
    db = new Pigeonhole(`http://127.0.0.1:${target.port}`);
  });
  afterAll(() => target.close());

  test.each(['a', 'a/b c', '.', '..', 'x/../y', 'x//y', 'x/', '/', 'ä?#%&+=', '__proto__'])(
    'stores, describes and deletes what any key names: %j',
    async (key) => {
      const stored = await db.put(key, 'värde');
      expect(stored).toMatchObject({ key, isNew: true, type: 'text/plain; charset=utf-8', size: 6 });
      expect((await db.put(key, 'other')).isNew).toBe(false);
      expect(await (await db.get(key))!.text()).toBe('other');
      expect(await db.info(key)).toMatchObject({ key, size: 5, expires: null });
      await db.del(key);
      expect(await db.get(key)).toBeUndefined();
      expect(await db.info(key)).toBeUndefined();
    },
  );

  test('gives values back as text, JSON, bytes and streams', async () => {
    const bytes = new Uint8Array([0, 255, 10, 13]);
    const key = freshKey();
    expect((await db.put(key, { a: [1, null] })).type).toBe('application/json');
    expect(await (await db.get(key))!.json()).toEqual({ a: [1, null] });
    for (const value of [bytes, bytes.buffer, new Blob([bytes]), new Blob([bytes]).stream()]) {
      await db.put(key, value);
      const entry = (await db.get(key))!;
      expect([entry.type, entry.size]).toEqual(['application/octet-stream', 4]);
      expect(Buffer.from(await entry.bytes())).toEqual(Buffer.from(bytes));
    }
    expect((await db.put(key, '<p>', { type: 'text/html' })).type).toBe('text/html');
    const part = (await db.get(key, { range: 'bytes=1-1' }))!;
    expect([part.status, await part.text()]).toEqual([206, 'p']);
  });

  test('writes and reads under conditions', async () => {
    const key = freshKey();
    const { etag } = await db.put(key, '1', { create: true });
    const refused = await failure(db.put(key, '2', { ifNoneMatch: '*' }));
    expect(refused).toMatchObject({ code: 'precondition-failed', status: 412, problem: { etag } });
    expect((await db.get(key, { ifNoneMatch: etag }))!.status).toBe(304);
    const next = await db.put(key, '2', { ifMatch: etag });
    expect((await db.get(key))!.etag).toBe(next.etag);
    expect((await failure(db.del(key, { ifMatch: etag }))).status).toBe(412);
    await db.del(key, { ifMatch: next.etag });
  });

  test('counts, touches and patches', async () => {
    const key = freshKey();
    expect(await db.incr(key)).toBe(1n);
    expect(await db.incr(key, 9_007_199_254_740_993n)).toBe(9_007_199_254_740_994n);
    const { expires } = await db.touch(key, '1h');
    expect((await db.get(key))!.expires).toEqual(new Date(expires!));
    expect((await db.touch(key, 'none')).expires).toBeNull();
    expect((await db.touch(key, new Date('2100-01-01T00:00:00Z'))).expires).toBe('2100-01-01T00:00:00.000Z');
    await db.put(key, { a: 1, b: 2 });
    expect(await db.patch(key, { b: null, c: 3 })).toEqual({ a: 1, c: 3 });
  });

  test('lists, counts, exports, imports and deletes a range', async () => {
    await db.put('range/a', 'A');
    await db.put('range/b', new Uint8Array([255]));
    await db.put('range/c/d', 'D');
    const page = await db.list({ prefix: 'range/', limit: 2, values: true, delimiter: '/' });
    expect(page).toMatchObject({
      items: [{ key: 'range/a', value: 'A' }, { key: 'range/b' }],
      next: 'range/b',
    });
    expect([...bytesOf(page.items[1]!)]).toEqual([255]);
    const keys: string[] = [];
    for await (const { key } of db.entries({ prefix: 'range/', limit: 1 })) keys.push(key);
    expect(keys).toEqual(['range/a', 'range/b', 'range/c/d']);
    expect(await db.count({ prefix: 'range/' })).toBe(3);

    const chunks: Uint8Array[] = [];
    const sink = new WritableStream<Uint8Array>({ write: (chunk) => void chunks.push(chunk) });
    expect(await db.exportTo(sink, { prefix: 'range/' })).toMatchObject({ count: 3 });
    expect(await db.delRange({ prefix: 'range/', dryRun: true })).toBe(3);
    expect(await db.delRange({ prefix: 'range/' })).toBe(3);
    const lines = Buffer.concat(chunks).toString();
    expect(await db.importFrom(lines)).toMatchObject({ created: 3, end: true });
    expect(await db.importFrom(new Blob([lines]).stream(), { mode: 'create' })).toMatchObject({ skipped: 3 });
    const half = await failure(db.importFrom(lines.slice(0, -10), { dryRun: true }));
    expect(half).toMatchObject({ code: 'truncated', problem: { updated: 3 } });
  });

  test('does a batch as a pipeline, and says which operation of an atomic one was refused', async () => {
    const key = freshKey();
    const results = await db.batch(
      [
        { op: 'put', key, value: { a: 1 }, ttl: '1h' },
        { op: 'get', key },
      ],
      { atomic: false },
    );
    expect(results).toMatchObject([{ status: 201 }, { status: 200, value: '{"a":1}' }]);
    const refused = await failure(db.batch([{ op: 'check', key, ifNoneMatch: '*' }]));
    expect(refused).toMatchObject({ code: 'precondition-failed', problem: { index: 0 } });
  });

  test('watches several prefixes and keys, and ends when it is aborted', async () => {
    await db.put('watch/a', '1');
    const over = new AbortController();
    const told: string[] = [];
    const watching = (async () => {
      for await (const event of db.watch(
        { prefix: 'watch/', key: ['one', 'two'] },
        { signal: over.signal },
      )) {
        told.push('key' in event ? `${event.kind} ${event.key}` : event.kind);
        if (event.kind === 'ready') await db.put('one', 'x').then(() => db.del('one'));
        if (event.kind === 'delete') over.abort();
      }
    })();
    await expect(watching).rejects.toThrow('aborted');
    expect(told).toEqual(['put watch/a', 'ready', 'put one', 'delete one']);
  });

  test('gives a call up when it is aborted', async () => {
    const signal = AbortSignal.timeout(50);
    const waiting = db.get(freshKey(), { wait: 30, signal });
    await expect(waiting).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});
