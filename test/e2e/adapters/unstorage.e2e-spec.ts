import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createStorage, type Storage } from 'unstorage';
import pigeonholeDriver from '../../../src/adapters/unstorage.js';
import { Pigeonhole } from '../../../src/client/pigeonhole.js';
import { eventually } from '../../support/eventually.js';
import { startInProcess, type Target } from '../../support/target.js';

// unstorage publishes no suite for drivers: these are the rules that its documentation gives them.
describe('the driver for unstorage', () => {
  let target: Target;
  let db: Pigeonhole;
  let storage: Storage;

  beforeAll(async () => {
    target = await startInProcess();
    db = new Pigeonhole(`http://127.0.0.1:${target.port}`);
    storage = createStorage({ driver: pigeonholeDriver(db) });
  });
  beforeEach(() => storage.clear());
  afterAll(async () => {
    await storage.dispose();
    await target.close();
  });

  test.each([
    ['text', 'a "text"'],
    ['a number', 42],
    ['false', false],
    ['an object', { a: [1, { b: null }] }],
  ])('gives %s back', async (_, value) => {
    await storage.setItem('a:key', value as never);
    expect(await storage.getItem('a:key')).toEqual(value);
    expect(await storage.hasItem('a:key')).toBe(true);
  });

  test('knows nothing of what is not there', async () => {
    expect(await storage.hasItem('none')).toBe(false);
    expect(await storage.getItem('none')).toBeNull();
    expect(await storage.getItemRaw('none')).toBeNull();
    await storage.removeItem('none');
  });

  test('keeps bytes as they are', async () => {
    const bytes = new Uint8Array([0, 255, 13, 10]);
    await storage.setItemRaw('bytes', bytes);
    expect(new Uint8Array((await storage.getItemRaw('bytes'))!)).toEqual(bytes);
  });

  test('lists what is below a base, and clears where it is mounted', async () => {
    for (const key of ['s1:a', 's2:a', 's1:b:c']) await storage.setItem(key, key);
    expect((await storage.getKeys()).sort()).toEqual(['s1:a', 's1:b:c', 's2:a']);
    expect((await storage.getKeys('s1')).sort()).toEqual(['s1:a', 's1:b:c']);
    const parts = createStorage().mount('part', pigeonholeDriver(db, { prefix: 'storage:s1:' }));
    expect((await parts.getKeys()).sort()).toEqual(['part:a', 'part:b:c']);
    await parts.clear('part');
    expect(await storage.getKeys()).toEqual(['s2:a']);
  });

  test('leaves what is outside of its prefix alone', async () => {
    await db.put('outside', 'x');
    await storage.setItem('outside', 'mine');
    await storage.clear();
    expect(await (await db.get('outside'))!.text()).toBe('x');
    expect(() => pigeonholeDriver(db, { prefix: '' })).toThrow('The prefix must not be empty');
  });

  test('tells when an item was written and how long it lives', async () => {
    await storage.setItem('short', 'abc', { ttl: 100 });
    const { mtime, birthtime, size, ttl } = await storage.getMeta('short');
    expect([mtime, birthtime]).toEqual([expect.any(Date), expect.any(Date)]);
    expect(size).toBe(3);
    expect(Math.ceil(ttl! / 10)).toBe(10);
  });

  test.each([1500.5, 100.0004])('takes %d seconds', async (seconds) => {
    await storage.setItem('short', 'abc', { ttl: seconds });
    const { created, expires } = (await db.info('storage:short'))!;
    expect(Date.parse(expires!) - Date.parse(created)).toBe(Math.ceil(seconds * 1000));
  });

  test('never ends an item for which the application says 0', async () => {
    await storage.setItem('lasting', 'abc', { ttl: 0 });
    expect((await db.info('storage:lasting'))!.expires).toBeNull();
  });

  test('tells of changes that others make', async () => {
    const seen: string[] = [];
    const end = await storage.watch((event, key) => void seen.push(`${event} ${key}`));
    // What is written before the watch has begun is not told.
    await eventually(async () => {
      await db.put('storage:told', 'x');
      return seen.includes('update told');
    });
    await db.del('storage:told');
    await eventually(() => seen.at(-1) === 'remove told');
    await end();
  });
});
