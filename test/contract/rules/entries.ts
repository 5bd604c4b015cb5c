import { expect } from '@jest/globals';
import { countOf, codeOf, entryOf, headerOf, kindOf, put, putOf, scanned, textOf } from '../shorthand.js';
import type { Rule } from '../rule.js';

/** Operations on one entry: put, get, delete, touch. */
export const entryRules: readonly Rule[] = [
  {
    rule: 'reads of an empty database return undefined, no items and 0',
    async run({ engine }) {
      expect(await engine.get('a')).toBeUndefined();
      expect(await engine.range({ prefix: '', limit: 10 })).toMatchObject({
        items: [],
        groups: [],
        next: undefined,
      });
      expect(await countOf(engine, { prefix: '' })).toBe(0);
      expect((await engine.stats()).entries).toBe(0);
      expect(await engine.system.get('a')).toBeUndefined();
      expect(await engine.system.list('')).toEqual([]);
      for await (const chunk of engine.scan({ prefix: '', values: true })) expect(chunk).toBe('no chunk');
    },
  },
  {
    rule: 'put returns created for a new key and updated for an existing one',
    async run({ engine }) {
      expect(kindOf(await engine.write(putOf('a', '1')))).toBe('created');
      expect(kindOf(await engine.write(putOf('a', '1')))).toBe('updated');
      expect(kindOf(await engine.write(putOf('b', '1')))).toBe('created');
    },
  },
  {
    rule: 'a read that starts after a write was acknowledged sees it',
    async run({ engine }) {
      for (let i = 0; i < 50; i++) {
        await put(engine, 'a', `${i}`);
        expect(await textOf(engine, 'a')).toBe(`${i}`);
        const [entry] = (await engine.range({ prefix: '', limit: 1, values: true })).items;
        expect(entry?.value?.toString()).toBe(`${i}`);
        expect((await scanned(engine))[0]?.value.toString()).toBe(`${i}`);
      }
      await engine.write({ op: 'delete', key: 'a' });
      expect(await engine.get('a')).toBeUndefined();
    },
  },
  {
    rule: 'head returns what get does, without the value, of small, large and empty ones',
    async run({ engine, time }) {
      expect(await engine.head('a')).toBeUndefined();
      for (const [key, size] of [
        ['a', 0],
        ['b', 1],
        ['c', 70_000],
        ['d', 3_000_000],
      ] as const) {
        await put(engine, key, Buffer.alloc(size, 'v'), { type: 'x/y', expiry: { in: 1000 } });
        expect(headerOf((await engine.head(key))!)).toEqual(headerOf((await engine.get(key))!));
        expect((await engine.head(key))!.size).toBe(size);
      }
      await engine.write({ op: 'delete', key: 'a' });
      time.advance(1000);
      for (const key of ['a', 'b', 'c', 'd']) expect(await engine.head(key)).toBeUndefined();
    },
  },
  {
    rule: 'put returns the entry as every read then shows it',
    async run({ engine, time }) {
      const entry = await put(engine, 'a', 'häh', { type: 'text/x', expiry: { in: 5000 } });
      const now = engine.now();
      expect(headerOf(entry)).toEqual({
        key: 'a',
        type: 'text/x',
        size: 4,
        etag: entry.etag,
        created: now,
        modified: now,
        expires: now + 5000,
      });
      expect(entry.value.toString()).toBe('häh');
      time.advance(10);
      const [listed] = (await engine.range({ prefix: '', limit: 1 })).items;
      const [visited] = await scanned(engine);
      const found = entryOf(await engine.write({ op: 'get', key: 'a' }));
      const read = (await engine.get('a'))!;
      for (const seen of [listed!, visited!, found, read]) expect(headerOf(seen)).toEqual(headerOf(entry));
      expect(found.value.toString()).toBe('häh');
    },
  },
  {
    rule: 'put replaces value and type, keeps the creation time and sets the modification time',
    async run({ engine, time }) {
      const first = await put(engine, 'a', 'one', { type: 'text/one' });
      time.advance(1234);
      await put(engine, 'a', 'two!', { type: 'text/two' });
      const second = (await engine.get('a'))!;
      expect(second.value.toString()).toBe('two!');
      expect(headerOf(second)).toMatchObject({ type: 'text/two', size: 4, created: first.created });
      expect(second.modified).toBe(first.modified + 1234);
    },
  },
  {
    rule: 'put sets, keeps or clears the expiry',
    async run({ engine }) {
      const now = engine.now();
      const expiryAfter = async (expiry: Parameters<typeof put>[3]) =>
        (await put(engine, 'a', 'x', expiry)).expires;
      expect(await expiryAfter({ expiry: 'keep' })).toBe(0);
      expect(await expiryAfter({ expiry: { in: 1000 } })).toBe(now + 1000);
      expect(await expiryAfter({ expiry: 'keep' })).toBe(now + 1000);
      expect(await expiryAfter({ expiry: { at: now + 7000 } })).toBe(now + 7000);
      expect(await expiryAfter({ expiry: 'never' })).toBe(0);
      expect((await engine.get('a'))?.expires).toBe(0);
    },
  },
  {
    rule: 'get as an operation returns found with the entry, or absent',
    async run({ engine }) {
      expect(await engine.write({ op: 'get', key: 'a' })).toEqual({ kind: 'absent' });
      await put(engine, 'a', 'x');
      expect(kindOf(await engine.write({ op: 'get', key: 'a' }))).toBe('found');
    },
  },
  {
    rule: 'delete returns deleted, and no read shows the key again',
    async run({ engine }) {
      await put(engine, 'a', 'x', { expiry: { in: 60_000 } });
      await put(engine, 'b', 'y');
      expect(await engine.write({ op: 'delete', key: 'a' })).toEqual({ kind: 'deleted' });
      expect(await engine.get('a')).toBeUndefined();
      expect((await engine.range({ prefix: '', limit: 10 })).items.map(({ key }) => key)).toEqual(['b']);
      expect((await scanned(engine)).map(({ key }) => key)).toEqual(['b']);
      expect(await countOf(engine, { prefix: '' })).toBe(1);
      expect((await engine.stats()).entries).toBe(1);
    },
  },
  {
    rule: 'deleting an absent key succeeds, returns absent and changes nothing',
    async run({ engine }) {
      const before = await put(engine, 'b', 'y');
      for (let i = 0; i < 3; i++)
        expect(await engine.write({ op: 'delete', key: 'a' })).toEqual({ kind: 'absent' });
      expect(headerOf((await engine.get('b'))!)).toEqual(headerOf(before));
      expect(await countOf(engine, { prefix: '' })).toBe(1);
    },
  },
  {
    rule: 'a key that is put after its deletion is a new entry',
    async run({ engine, time }) {
      const first = await put(engine, 'a', 'x', { expiry: { in: 60_000 } });
      await engine.write({ op: 'delete', key: 'a' });
      time.advance(5);
      const outcome = await engine.write(putOf('a', 'y', { expiry: 'keep' }));
      expect(outcome.kind).toBe('created');
      expect(headerOf(entryOf(outcome))).toMatchObject({ created: first.created + 5, expires: 0 });
    },
  },
  {
    rule: 'touch changes the expiry, the modification time and nothing else',
    async run({ engine, time }) {
      const before = await put(engine, 'a', 'x', { type: 'text/x' });
      time.advance(3);
      const outcome = await engine.write({ op: 'touch', key: 'a', expiry: { in: 1000 } });
      expect(outcome.kind).toBe('updated');
      const after = (await engine.get('a'))!;
      expect(after.value.toString()).toBe('x');
      expect(headerOf(after)).toEqual({
        ...headerOf(before),
        etag: after.etag,
        modified: before.modified + 3,
        expires: before.created + 1003,
      });
      const later = entryOf(await engine.write({ op: 'touch', key: 'a', expiry: { at: after.expires + 9 } }));
      expect(later.expires).toBe(after.expires + 9);
      expect(entryOf(await engine.write({ op: 'touch', key: 'a', expiry: 'never' })).expires).toBe(0);
      expect(await textOf(engine, 'a')).toBe('x');
    },
  },
  {
    rule: 'touch of an absent key is refused as missing-key and creates nothing',
    async run({ engine }) {
      expect(await codeOf(engine.write({ op: 'touch', key: 'a', expiry: 'never' }))).toBe('missing-key');
      expect(await engine.get('a')).toBeUndefined();
    },
  },
  {
    rule: 'concurrent writes of many keys are all applied',
    async run({ engine }) {
      const keys = Array.from({ length: 500 }, (_, i) => `k${i}`);
      await Promise.all(keys.map((key) => put(engine, key, `value of ${key}`)));
      for (const key of keys) expect(await textOf(engine, key)).toBe(`value of ${key}`);
      expect(await countOf(engine, { prefix: 'k' })).toBe(500);
    },
  },
];
