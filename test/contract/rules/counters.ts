import { expect } from '@jest/globals';
import { TEXT } from '../../../src/storage/entry.js';
import { codeOf, entryOf, headerOf, incrOf, kindOf, put, textOf } from '../shorthand.js';
import type { Rule } from '../rule.js';

const MAX = 9223372036854775807n;
const MIN = -9223372036854775808n;

const NOT_INTEGERS: readonly string[] = [
  '',
  ' ',
  '+1',
  '01',
  '00',
  '-0',
  '-',
  '--1',
  ' 1',
  '1 ',
  '1\n',
  '1.0',
  '1e3',
  '0x10',
  '1_000',
  'x',
  '9223372036854775808',
  '-9223372036854775809',
  '10000000000000000000',
  '1'.repeat(40),
  '١',
  '１',
];

/** Each [value, by, sum]; an undefined sum is an overflow. */
const SUMS: readonly (readonly [bigint, bigint, bigint | undefined])[] = [
  [0n, 0n, 0n],
  [-1n, 1n, 0n],
  [9007199254740992n, 1n, 9007199254740993n],
  [9007199254740993n, 9007199254740992n, 18014398509481985n],
  [MAX - 1n, 1n, MAX],
  [MAX, 1n, undefined],
  [MAX, MAX, undefined],
  [MAX, MIN, -1n],
  [MIN + 1n, -1n, MIN],
  [MIN, -1n, undefined],
  [MIN, MAX, -1n],
  [MIN, 0n, MIN],
];

/** incr adds to a signed 64-bit integer, exactly and atomically. */
export const counterRules: readonly Rule[] = [
  {
    rule: 'incr of an absent key counts from 0, as plain text, and returns created, then updated',
    async run({ engine }) {
      const first = await engine.write(incrOf('n', 5n));
      expect([first.kind, entryOf(first).value.toString(), entryOf(first).type]).toEqual([
        'created',
        '5',
        TEXT,
      ]);
      const second = await engine.write(incrOf('n', -7n));
      expect([second.kind, entryOf(second).value.toString()]).toEqual(['updated', '-2']);
      expect(await textOf(engine, 'n')).toBe('-2');
      expect(headerOf((await engine.get('n'))!)).toEqual(headerOf(entryOf(second)));
    },
  },
  {
    rule: 'incr is exact over the whole range of 64 bits and refuses a sum outside it',
    async run({ engine }) {
      for (const [value, by, sum] of SUMS) {
        await put(engine, 'n', `${value}`);
        const code = await codeOf(engine.write(incrOf('n', by)));
        expect([value, by, code]).toEqual([
          value,
          by,
          sum === undefined ? 'integer-overflow' : 'not refused',
        ]);
        expect(await textOf(engine, 'n')).toBe(`${sum ?? value}`);
      }
    },
  },
  {
    rule: 'a new counter cannot begin outside the range of 64 bits',
    async run({ engine }) {
      expect(entryOf(await engine.write(incrOf('max', MAX))).value.toString()).toBe(`${MAX}`);
      expect(entryOf(await engine.write(incrOf('min', MIN))).value.toString()).toBe(`${MIN}`);
      expect(await codeOf(engine.write(incrOf('n', MAX + 1n)))).toBe('integer-overflow');
      expect(await codeOf(engine.write(incrOf('n', MIN - 1n)))).toBe('integer-overflow');
      expect(await engine.get('n')).toBeUndefined();
    },
  },
  {
    rule: 'incr refuses a value that is not a plain decimal integer and leaves it alone',
    async run({ engine }) {
      for (const value of NOT_INTEGERS) {
        const before = await put(engine, 'n', value);
        expect([value, await codeOf(engine.write(incrOf('n', 1n)))]).toEqual([value, 'not-an-integer']);
        expect(headerOf((await engine.get('n'))!)).toEqual(headerOf(before));
      }
      await put(engine, 'n', Buffer.alloc(2 ** 20, '1'));
      expect(await codeOf(engine.write(incrOf('n', 1n)))).toBe('not-an-integer');
    },
  },
  {
    rule: 'incr keeps type, creation time and expiry; the expiry of the operation is for a new key only',
    async run({ engine, time }) {
      await engine.write(incrOf('limit', 1n, { in: 1000 }));
      time.advance(600);
      const second = entryOf(await engine.write(incrOf('limit', 1n, { in: 1000 })));
      expect(second.expires - second.created).toBe(1000);
      time.advance(400);
      const third = await engine.write(incrOf('limit', 1n, { in: 1000 }));
      expect([kindOf(third), entryOf(third).value.toString()]).toEqual(['created', '1']);
      await put(engine, 'n', '41', { type: 'text/number' });
      expect(entryOf(await engine.write(incrOf('n', 1n))).type).toBe('text/number');
    },
  },
  {
    rule: 'concurrent incr operations all count, and no two return the same number',
    async run({ engine }) {
      const outcomes = await Promise.all(Array.from({ length: 200 }, () => engine.write(incrOf('n', 1n))));
      const numbers = outcomes.map((outcome) => Number(entryOf(outcome).value.toString()));
      expect(new Set(numbers).size).toBe(200);
      expect(await textOf(engine, 'n')).toBe('200');
    },
  },
];
