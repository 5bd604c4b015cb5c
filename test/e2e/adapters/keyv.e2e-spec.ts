import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import officialSuite from '@keyv/test-suite';
import { createCache } from 'cache-manager';
import Keyv from 'keyv';
import KeyvPigeonhole from '../../../src/adapters/keyv.js';
import { Pigeonhole } from '../../../src/client/pigeonhole.js';
import type { Target } from '../../support/target.js';
import { describeOn, ENGINES } from '../../support/ways.js';

/** What the suite of Keyv takes from its test runner, which is not this one. */
const RUNNER = {
  beforeEach,
  afterEach,
  it: (name: string, rule: (context: unknown) => unknown) =>
    test(name, async () => void (await rule({ expect }))),
} as never;

describeOn(ENGINES)('Keyv on $name', ({ start }) => {
  let target: Target;
  let db: Pigeonhole;
  const store = () => new KeyvPigeonhole(db);

  beforeAll(async () => {
    target = await start();
    db = new Pigeonhole(`http://127.0.0.1:${target.port}`);
  });
  afterAll(() => target.close());

  describe('the suite that Keyv has for stores', () => {
    officialSuite(RUNNER, Keyv, store);
  });

  test('keeps to its prefix and its namespace', async () => {
    await db.put('mine', 'stays');
    const [a, b] = ['a', 'b'].map((namespace) => new Keyv({ store: store(), namespace }));
    await a!.set('x', 1);
    await b!.set('x', 2);
    await a!.clear();
    expect([await a!.get('x'), await b!.get('x')]).toEqual([undefined, 2]);
    expect(await (await db.get('mine'))!.text()).toBe('stays');
    expect(() => new KeyvPigeonhole(db, { prefix: '' })).toThrow('The prefix must not be empty');
  });

  test('lets the server end what has a time to live', async () => {
    const keyv = new Keyv({ store: store() });
    await keyv.set('short', 'a', 90_499.4);
    const { expires, modified } = (await db.info('keyv/keyv:short'))!;
    expect(Date.parse(expires!) - Date.parse(modified)).toBe(90_500);
  });

  test('iterates over a namespace', async () => {
    const own = store();
    const keyv = new Keyv({ store: own, namespace: 'pages' });
    await keyv.set('a', 1);
    await keyv.set('b', { c: '2' });
    await new Keyv({ store: own, namespace: 'pagesand' }).set('a', 3);
    const seen = [];
    for await (const [key, stored] of own.iterator<string>('pages'))
      seen.push([key, JSON.parse(stored as string)]);
    expect(seen).toEqual([
      ['pages:a', { value: 1 }],
      ['pages:b', { value: { c: '2' } }],
    ]);
  });

  test('reads and writes more than one batch holds', async () => {
    const keyv = new Keyv({ store: store() });
    const entries = Array.from({ length: 1500 }, (_, index) => ({ key: `many-${index}`, value: index }));
    await keyv.setMany(entries);
    const keys = entries.map(({ key }) => key);
    expect(await keyv.getMany(keys)).toEqual(entries.map(({ value }) => value));
    expect(await keyv.hasMany(['many-3', 'none'])).toEqual([true, false]);
    expect(await keyv.deleteMany(keys)).toBe(true);
    expect(await keyv.hasMany(['many-3', 'many-1499'])).toEqual([false, false]);
  });

  test('serves cache-manager', async () => {
    const cache = createCache({ stores: [new Keyv({ store: store(), namespace: 'cache' })] });
    await cache.mset([
      { key: 'one', value: { n: 1 } },
      { key: 'two', value: [2] },
    ]);
    expect(await cache.mget(['one', 'two', 'three'])).toEqual([{ n: 1 }, [2], undefined]);
    let calls = 0;
    const work = () => ++calls;
    expect([await cache.wrap('calls', work, 60_000), await cache.wrap('calls', work, 60_000)]).toEqual([
      1, 1,
    ]);
    await cache.del('one');
    expect(await cache.get('one')).toBeUndefined();
    await cache.clear();
    expect(await cache.get('two')).toBeUndefined();
  });
});
