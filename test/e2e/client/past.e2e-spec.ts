import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { getAt, history, putBack, restore, undo } from '../../../src/client/past.js';
import { Pigeonhole, type PigeonholeError } from '../../../src/client/pigeonhole.js';
import { freshKey } from '../../support/kv.js';
import type { Target } from '../../support/target.js';
import { describeOn, ENGINES } from '../../support/ways.js';

describeOn(ENGINES)('the past by the client with $name', ({ start }) => {
  let target: Target;
  let db: Pigeonhole;
  beforeAll(async () => {
    target = await start();
    db = new Pigeonhole(`http://127.0.0.1:${target.port}`);
  });
  afterAll(() => target.close());

  /** What a key holds, or at a moment held. */
  const textOf = async (key: string, at?: string | Date) =>
    (await (at === undefined ? db.get(key) : getAt(db, key, at)))?.text();

  test('lists versions page by page, the newest first, each readable by its tag', async () => {
    const key = freshKey();
    const { etag: first } = await db.put(key, { n: 1 });
    const { etag: second } = await db.put(key, 'zwei');
    await db.del(key);
    const { items, next } = await history(db, key, { limit: 2 });
    expect(items).toMatchObject([
      { kind: 'delete', type: null, size: null },
      { kind: 'put', etag: second, value: 'zwei', size: 4, type: 'text/plain; charset=utf-8' },
    ]);
    const older = await history(db, key, { after: next!, values: false });
    expect(older).toMatchObject({ items: [{ etag: first, type: 'application/json' }], next: null });
    expect(older.items[0]).not.toHaveProperty('value');
    expect([await textOf(key, first), await textOf(key, second)]).toEqual(['{"n":1}', 'zwei']);
    expect(await textOf(key, items[0]!.etag)).toBeUndefined();
  });

  test('undo takes back a change, a deletion and what made the entry, and is taken back by another', async () => {
    const key = freshKey();
    await db.put(key, 'a', { ttl: '1h' });
    const { expires } = (await db.info(key))!;
    await db.put(key, 'b');
    expect((await undo(db, key))!.kind).toBe('put');
    expect([await textOf(key), (await db.info(key))!.expires]).toEqual(['a', expires]);
    await undo(db, key);
    expect([await textOf(key), (await db.info(key))!.expires]).toEqual(['b', null]);
    await db.del(key);
    await undo(db, key);
    expect(await textOf(key)).toBe('b');
    const made = freshKey();
    await db.put(made, 'x');
    expect(await undo(db, made)).toBeUndefined();
    expect(await textOf(made)).toBeUndefined();
  });

  test('undo does nothing to a key that was changed since, and says what there is nothing of', async () => {
    const key = freshKey();
    const { etag } = await db.put(key, 'a');
    await db.put(key, 'b');
    const failed = (call: Promise<unknown>) =>
      call.catch((error: unknown) => (error as PigeonholeError).code);
    expect(await failed(undo(db, key, { etag }))).toBe('precondition-failed');
    expect(await textOf(key)).toBe('b');
    expect(await failed(undo(db, freshKey()))).toBe('missing-key');
  });

  test('a version is put back under a condition', async () => {
    const key = freshKey();
    const { etag: first } = await db.put(key, '<p>', { type: 'text/html' });
    const { etag } = await db.put(key, 'other');
    await expect(putBack(db, key, first, { ifMatch: first })).rejects.toMatchObject({ status: 412 });
    expect(await putBack(db, key, first, { ifMatch: etag, ttl: '1h' })).toMatchObject({
      isNew: false,
      type: 'text/html',
      expires: expect.any(String),
    });
    expect(await textOf(key)).toBe('<p>');
  });

  test('a range is put back to a tag or a time, and counted before', async () => {
    const prefix = `${freshKey()}/`;
    await db.put(`${prefix}kept`, '1');
    await db.put(`${prefix}gone`, '2');
    const { etag: at } = await db.put(`${prefix}changed`, '3');
    await db.del(`${prefix}gone`);
    await db.put(`${prefix}changed`, 'x');
    await db.put(`${prefix}made`, 'y');
    const report = { restored: 2, deleted: 1, unchanged: 1, errors: [] };
    expect(await restore(db, { prefix, at, dryRun: true })).toEqual(expect.objectContaining(report));
    expect(await textOf(`${prefix}changed`)).toBe('x');
    expect(await restore(db, { prefix, at })).toEqual(expect.objectContaining(report));
    const { items } = await db.list({ prefix, values: true });
    expect(items.map(({ key, value }) => [key.slice(prefix.length), value])).toEqual([
      ['changed', '3'],
      ['gone', '2'],
      ['kept', '1'],
    ]);
    const again = await restore(db, { prefix, at: new Date(), dryRun: true });
    expect(again).toMatchObject({ restored: 0, deleted: 0, unchanged: 3 });
  });
});
