import { expect } from '@jest/globals';
import { put, putOf, scanned, textOf } from '../shorthand.js';
import type { Rule } from '../rule.js';

const MIB = 2 ** 20;
const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, i) => i));

const VALUES: readonly (readonly [string, Buffer])[] = [
  ['empty', Buffer.alloc(0)],
  ['all 256 bytes', ALL_BYTES],
  ['zero bytes only', Buffer.alloc(100)],
  ['bytes that are no UTF-8', Buffer.from('fffec328a0a1e28080', 'hex')],
  ['a byte order mark and line ends', Buffer.from('\ufeff\r\n\n\r')],
  ['text that looks like a record', Buffer.from('{"__proto__":{"x":1}}')],
  ['one byte below a memory page', Buffer.alloc(4095, 'p')],
  ['a little over a memory page', Buffer.alloc(4097, 'q')],
  ['1 MiB', Buffer.alloc(MIB, ALL_BYTES)],
  ['16 MiB', Buffer.alloc(16 * MIB, ALL_BYTES)],
];

const TYPES: readonly string[] = [
  'text/plain; charset=utf-8',
  'application/json',
  'application/octet-stream',
  'x/y',
  'text/plain; title="a \\"b\\", c"',
  'text/plain; title=\u00e9\u00ff',
  `application/x; long=${'y'.repeat(230)}`,
  `application/x; longer=${'z'.repeat(8000)}`,
];

/** Values and types come back byte for byte, and callers own their buffers. */
export const valueRules: readonly Rule[] = [
  ...VALUES.map(([name, value]): Rule => ({
    rule: `a value comes back byte for byte: ${name}`,
    async run({ engine }) {
      await put(engine, 'before', 'x');
      await put(engine, 'key', value);
      await put(engine, 'later', 'y');
      const [, listed] = (await engine.range({ prefix: '', limit: 3, values: true })).items;
      const [, visited] = await scanned(engine);
      for (const seen of [await engine.get('key'), listed, visited]) {
        expect(seen?.key).toBe('key');
        expect(seen?.size).toBe(value.length);
        expect(seen?.value?.equals(value)).toBe(true);
      }
      // This condition needs the header only, of a large value too.
      const { etag } = await put(engine, 'key', value, { condition: { ifMatch: [listed!.etag] } });
      await engine.write({ op: 'touch', key: 'key', expiry: { in: 1000 }, condition: { ifMatch: [etag] } });
      expect((await engine.get('key'))?.value.equals(value)).toBe(true);
    },
  })),
  {
    rule: 'large values that are written at once keep their own bytes',
    async run({ engine }) {
      const keys = ['{t}a', '{t}b', '{t}c', '{t}d'];
      const values = keys.map((_, i) => Buffer.alloc(MIB - i * 100_000, `${i}`));
      await engine.batch([putOf(keys[0]!, values[0]!), putOf(keys[1]!, values[1]!)], true);
      await Promise.all([put(engine, keys[2]!, values[2]!), put(engine, keys[3]!, values[3]!)]);
      for (const [i, key] of keys.entries())
        expect((await engine.get(key))?.value.equals(values[i]!)).toBe(true);
    },
  },
  {
    rule: 'types come back as they were put, long ones too',
    async run({ engine }) {
      for (const [i, type] of TYPES.entries()) await put(engine, `k${i}`, `v${i}`, { type });
      const listed = (await engine.range({ prefix: '', limit: 100, values: true })).items;
      const visited = await scanned(engine);
      for (const [i, type] of TYPES.entries()) {
        for (const seen of [await engine.get(`k${i}`), listed[i], visited[i]]) {
          expect([seen?.type, seen?.value?.toString(), seen?.size]).toEqual([type, `v${i}`, 2]);
        }
      }
    },
  },
  {
    rule: 'a buffer that its owner changes after the write does not change the entry',
    async run({ engine }) {
      const value = Buffer.from('before');
      await engine.write({ op: 'put', key: 'a', value, type: 'x/y', expiry: 'never' });
      const secret = Buffer.from('secret');
      await engine.system.put('s', secret);
      value.fill('!');
      secret.fill('!');
      expect(await textOf(engine, 'a')).toBe('before');
      expect((await engine.system.get('s'))?.toString()).toBe('secret');
    },
  },
  {
    rule: 'a reader owns the bytes it has read: the engine does not change them, nor do they change the store',
    async run({ engine }) {
      await put(engine, 'a', 'before');
      const reads = [
        (await engine.get('a'))!.value,
        (await engine.range({ prefix: '', limit: 1, values: true })).items[0]!.value!,
        (await scanned(engine))[0]!.value,
      ];
      await put(engine, 'a', 'after!');
      for (let i = 0; i < 200; i++) await put(engine, `k${i}`, 'z'.repeat(200));
      for (const value of reads) expect(value.toString()).toBe('before');
      (await engine.get('a'))!.value.fill('!');
      (await engine.range({ prefix: '', limit: 1, values: true })).items[0]!.value!.fill('!');
      (await scanned(engine))[0]!.value.fill('!');
      expect(await textOf(engine, 'a')).toBe('after!');
    },
  },
  {
    rule: 'a range without values has the true sizes, and so has a scan, without bytes',
    async run({ engine }) {
      await put(engine, 'a', 'hello');
      const [item] = (await engine.range({ prefix: '', limit: 1 })).items;
      expect(item?.size).toBe(5);
      const [visited] = await scanned(engine, '', false);
      expect([visited?.size, visited?.value.length]).toEqual([5, 0]);
    },
  },
];
