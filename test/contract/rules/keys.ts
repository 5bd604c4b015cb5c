import { expect } from '@jest/globals';
import { LOGGED_VALUE_BYTES } from '../../../src/storage/storage-engine.js';
import { countOf, inByteOrder, keysScanned, loggedAfter, namesOf, put, textOf } from '../shorthand.js';
import type { Rule } from '../rule.js';

/** Keys that reveal a store which escapes, normalises, compares or cuts them wrongly. */
export const HARD_KEYS: readonly string[] = [
  ['\0', '\0\0', 'a\0', 'a\0b', 'a', 'aa', 'a\u0001', 'A', '\u0001', '\u001b', '\u007f', '\u0080'],
  [
    '\r\n',
    '\t',
    ' ',
    ' a',
    'a ',
    '.',
    '..',
    '../..',
    '/',
    '//',
    'a/',
    'a//b',
    '/a',
    '%2F',
    '%',
    '+',
    '?',
    '#',
  ],
  ['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString', 'length', '12', '012', '-1', '1e3'],
  ['true', 'null', 'undefined', 'NaN', '[object Object]', '{"a":1}', 'head', 'format', 'entries', 'meta'],
  ['é', 'e\u0301', 'ß', '\u00ff', 'Ω', '\u2028', '\ufeff', '\ufeffa', '日本', '\u202e', '\u200d'],
  ['\ud7ff', '\ue000', '\ufffd', '\ufffe', '\uffff', '\uffff\uffff', '😀', '😀a', '\u{10000}', '\u{10ffff}'],
  ['k'.repeat(1023), 'k'.repeat(1024), `${'k'.repeat(1023)}l`, 'é'.repeat(512), '😀'.repeat(256)],
  ['\0'.repeat(1024), '\u{10ffff}'.repeat(256), '\uffff'.repeat(341)],
  ['{', '}', '{}', '{}a', '}{', '{t}', '{t}a', '{t}b', '{t', 'a{t}', '{t}{u}', '{{t}}', '{é}', '{😀}a'],
].flat();

/** The longest key made of `unit`. */
function longest(unit: string, bytes: number): string {
  const text = unit.repeat(Math.floor(bytes / Buffer.byteLength(unit)));
  return text + 'p'.repeat(bytes - Buffer.byteLength(text));
}

/** Any well-formed text of 1 to 1024 bytes is a key, different from every other. */
export const keyRules: readonly Rule[] = [
  {
    rule: 'every kind of key holds its own value',
    async run({ engine }) {
      for (const [i, key] of HARD_KEYS.entries()) await put(engine, key, `value ${i}`);
      for (const [i, key] of HARD_KEYS.entries()) {
        const entry = await engine.get(key);
        expect([entry?.key, entry?.value.toString()]).toEqual([key, `value ${i}`]);
      }
      expect(await countOf(engine, { prefix: '' })).toBe(HARD_KEYS.length);
    },
  },
  {
    rule: 'ranges and scans go by the UTF-8 bytes of the keys, both ways',
    async run({ engine }) {
      for (const key of HARD_KEYS) await put(engine, key, '');
      const ordered = inByteOrder(HARD_KEYS);
      expect(await namesOf(engine)).toEqual(ordered);
      expect(await keysScanned(engine)).toEqual(ordered);
      expect(await namesOf(engine, { reverse: true })).toEqual(ordered.toReversed());
    },
  },
  {
    rule: 'astral characters come after U+E000 to U+FFFF',
    async run({ engine }) {
      for (const key of ['😀', '\uffff', '\ue000', '\ud7ff']) await put(engine, key, '');
      expect(await namesOf(engine)).toEqual(['\ud7ff', '\ue000', '\uffff', '😀']);
    },
  },
  {
    rule: 'every kind of key works as a prefix, literally',
    async run({ engine }) {
      for (const key of HARD_KEYS) await put(engine, key, '');
      for (const prefix of HARD_KEYS) {
        const expected = inByteOrder(HARD_KEYS.filter((key) => key.startsWith(prefix)));
        expect(await namesOf(engine, { prefix })).toEqual(expected);
        expect(await namesOf(engine, { prefix, reverse: true })).toEqual(expected.toReversed());
        expect(await keysScanned(engine, prefix)).toEqual(expected);
        expect(await countOf(engine, { prefix })).toBe(expected.length);
      }
    },
  },
  {
    rule: 'every kind of key works as the start of a page, whether or not it exists',
    async run({ engine }) {
      const present = HARD_KEYS.filter((_, i) => i % 2 === 0);
      for (const key of present) await put(engine, key, '');
      for (const after of HARD_KEYS) {
        const order = inByteOrder([...new Set([...present, after])]);
        const at = order.indexOf(after);
        expect(await namesOf(engine, { after })).toEqual(order.slice(at + 1));
        expect(await namesOf(engine, { after, reverse: true })).toEqual(order.slice(0, at).toReversed());
      }
    },
  },
  {
    rule: 'deleting a key leaves its neighbours alone',
    async run({ engine }) {
      for (const key of HARD_KEYS) await put(engine, key, 'x');
      const [gone, kept] = [HARD_KEYS.filter((_, i) => i % 2), HARD_KEYS.filter((_, i) => i % 2 === 0)];
      for (const key of gone) expect(await engine.write({ op: 'delete', key })).toEqual({ kind: 'deleted' });
      expect(await namesOf(engine)).toEqual(inByteOrder(kept));
      for (const key of gone) expect(await engine.get(key)).toBeUndefined();
      for (const key of kept) expect(await textOf(engine, key)).toBe('x');
    },
  },
  {
    rule: 'keys of the greatest length are written, read, listed, paged, logged, expire and are deleted like others',
    async run({ engine, time, longestKey }) {
      const keys = ['k', '\0', '\u{10ffff}', 'é'].map((unit) => longest(unit, longestKey));
      const start = await engine.position();
      for (const key of keys)
        await put(engine, key, 'x'.repeat(LOGGED_VALUE_BYTES), { expiry: { in: 1000 } });
      for (const key of keys) expect((await engine.get(key))?.key).toBe(key);
      const ordered = inByteOrder(keys);
      expect(await namesOf(engine)).toEqual(ordered);
      expect(await keysScanned(engine)).toEqual(ordered);
      for (const [i, after] of ordered.entries()) {
        expect(await namesOf(engine, { after })).toEqual(ordered.slice(i + 1));
        expect(await namesOf(engine, { after, reverse: true })).toEqual(ordered.slice(0, i).toReversed());
        expect(await namesOf(engine, { prefix: after })).toEqual([after]);
        expect(await countOf(engine, { prefix: '', from: after })).toBe(ordered.length - i);
      }
      await engine.write({ op: 'delete', key: keys[0]! });
      time.advance(1000);
      expect(await namesOf(engine)).toEqual([]);
      const puts = keys.map((key) => `put ${key}`);
      const logged = (await loggedAfter(engine, start)).filter((each) => !each.startsWith('expire'));
      expect(logged.toSorted()).toEqual([...puts, `delete ${keys[0]!}`].toSorted());
    },
  },
  {
    rule: 'every kind of key can expire',
    async run({ engine, time }) {
      for (const key of HARD_KEYS) await put(engine, key, 'x', { expiry: { in: 1000 } });
      time.advance(999);
      expect(await countOf(engine, { prefix: '' })).toBe(HARD_KEYS.length);
      time.advance(1);
      expect(await namesOf(engine)).toEqual([]);
      for (const prefix of HARD_KEYS) expect(await countOf(engine, { prefix })).toBe(0);
    },
  },
];
