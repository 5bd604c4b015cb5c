import { expect } from '@jest/globals';
import { DatabaseError } from '../../../src/errors.js';
import type { BatchOperation } from '../../../src/storage/operation.js';
import { entryOf, headerOf, incrOf, kindOf, namesOf, put, putOf, refusalOf, textOf } from '../shorthand.js';
import type { Rule } from '../rule.js';

const NOT_A_NUMBER = 'text';

/** What an atomic batch is refused for, each with its code. */
const REFUSED: readonly (readonly [BatchOperation, string])[] = [
  [{ op: 'check', key: 'a', condition: { ifNoneMatch: '*' } }, 'precondition-failed'],
  [{ op: 'get', key: 'a', condition: { ifMatch: [] } }, 'precondition-failed'],
  [putOf('new', 'x', { condition: { ifMatch: '*' } }), 'precondition-failed'],
  [{ op: 'delete', key: 'a', condition: { ifMatch: [] } }, 'precondition-failed'],
  [incrOf('a', 1n), 'not-an-integer'],
  [{ op: 'touch', key: 'absent', expiry: 'never' }, 'missing-key'],
];

/** Batches: atomic, or a pipeline. */
export const batchRules: readonly Rule[] = [
  {
    rule: 'an empty batch answers nothing',
    async run({ engine }) {
      expect(await engine.batch([], true)).toEqual([]);
      expect(await engine.batch([], false)).toEqual([]);
    },
  },
  ...[true, false].map((atomic): Rule => ({
    rule: `operations of ${atomic ? 'an atomic batch' : 'a pipeline'} are answered in order and see those before them`,
    async run({ engine }) {
      const outcomes = await engine.batch(
        [
          putOf('a', '1', { condition: { ifNoneMatch: '*' } }),
          { op: 'get', key: 'a' },
          incrOf('a', 41n),
          { op: 'check', key: 'a', condition: { ifMatch: '*' } },
          putOf('a', '42!', { type: 'x/y', expiry: 'keep' }),
          { op: 'touch', key: 'a', expiry: { in: 1000 } },
          { op: 'get', key: 'a' },
          { op: 'delete', key: 'a' },
          { op: 'get', key: 'a' },
          { op: 'delete', key: 'a' },
          putOf('a', 'anew', { expiry: 'keep' }),
          putOf('b', 'other'),
        ],
        atomic,
      );
      expect(outcomes.map(kindOf)).toEqual([
        'created',
        'found',
        'updated',
        'checked',
        'updated',
        'updated',
        'found',
        'deleted',
        'absent',
        'absent',
        'created',
        'created',
      ]);
      const values = [0, 1, 2, 4, 5, 6, 10].map((i) => entryOf(outcomes[i]!).value.toString());
      expect(values).toEqual(['1', '1', '42', '42!', '42!', '42!', 'anew']);
      expect(headerOf(entryOf(outcomes[6]!))).toEqual(headerOf(entryOf(outcomes[5]!)));
      const tags = [0, 2, 4, 5, 10, 11].map((i) => entryOf(outcomes[i]!).etag);
      expect(new Set(tags).size).toBe(tags.length);
      const stored = (await engine.get('a'))!;
      expect(headerOf(stored)).toEqual(headerOf(entryOf(outcomes[10]!)));
      expect(stored.expires).toBe(0);
      expect(await namesOf(engine)).toEqual(['a', 'b']);
    },
  })),
  ...REFUSED.map(([refused, code], i): Rule => ({
    rule: `an atomic batch with a refused ${refused.op} applies nothing and names code and index (case ${i + 1})`,
    async run({ engine, time }) {
      const before = await put(engine, 'a', NOT_A_NUMBER, { type: 'text/x', expiry: { in: 9000 } });
      await put(engine, 'gone', 'x', { expiry: { in: 10 } });
      time.advance(10);
      const batch: BatchOperation[] = [
        putOf('b', 'x'),
        { op: 'touch', key: 'a', expiry: 'never' },
        putOf('gone', 'back'),
        refused,
        putOf('c', 'x'),
      ];
      const refusal = await refusalOf(engine.batch(batch, true));
      expect([refusal.code, refusal.index]).toEqual([code, 3]);
      const after = (await engine.get('a'))!;
      expect(headerOf(after)).toEqual(headerOf(before));
      expect(after.value.toString()).toBe(NOT_A_NUMBER);
      expect(await namesOf(engine)).toEqual(['a']);
      expect(await engine.count('')).toBe(1);
      expect(kindOf(await engine.write(putOf('b', 'x')))).toBe('created');
    },
  })),
  {
    rule: 'a condition in a batch sees the batch: a key created twice is refused at the second',
    async run({ engine }) {
      const create = putOf('a', 'x', { condition: { ifNoneMatch: '*' } });
      const refusal = await refusalOf(engine.batch([create, create], true));
      expect([refusal.code, refusal.index]).toEqual(['precondition-failed', 1]);
      expect(await engine.get('a')).toBeUndefined();
      expect((await engine.batch([create, { op: 'delete', key: 'a' }, create], true)).map(kindOf)).toEqual([
        'created',
        'deleted',
        'created',
      ]);
    },
  },
  {
    rule: 'get and delete of an absent key refuse no batch',
    async run({ engine }) {
      const batch: BatchOperation[] = [{ op: 'get', key: 'a' }, { op: 'delete', key: 'a' }, putOf('b', 'x')];
      expect((await engine.batch(batch, true)).map(kindOf)).toEqual(['absent', 'absent', 'created']);
    },
  },
  {
    rule: 'in a pipeline what is refused stands in its place and the rest happens',
    async run({ engine }) {
      await put(engine, 'a', NOT_A_NUMBER);
      const outcomes = await engine.batch(
        [putOf('b', '1'), ...REFUSED.map(([op]) => op), incrOf('b', 1n)],
        false,
      );
      expect(outcomes.map(kindOf)).toEqual(['created', ...REFUSED.map(([, code]) => code), 'updated']);
      expect(outcomes.slice(1, -1).every((outcome) => outcome instanceof DatabaseError)).toBe(true);
      expect(await textOf(engine, 'b')).toBe('2');
      expect(await textOf(engine, 'a')).toBe(NOT_A_NUMBER);
    },
  },
  {
    rule: 'a thousand operations are one batch, on a thousand keys or all on one',
    async run({ engine }) {
      await engine.batch(
        Array.from({ length: 1000 }, (_, i) => putOf(`k${i}`, `${i}`)),
        true,
      );
      expect(await engine.count('k')).toBe(1000);
      await engine.batch(
        Array.from({ length: 1000 }, () => incrOf('n', 1n)),
        true,
      );
      expect(await textOf(engine, 'n')).toBe('1000');
      await engine.batch(
        Array.from({ length: 1000 }, () => incrOf('n', 1n)),
        false,
      );
      expect(await textOf(engine, 'n')).toBe('2000');
    },
  },
  {
    rule: 'readers see an atomic batch whole or not at all',
    async run({ engine }) {
      const pair = (i: number) => [putOf('a', `${i}`), putOf('z', `${i}`)];
      await engine.batch(pair(0), true);
      let writing = true;
      const writes = Promise.all(Array.from({ length: 100 }, (_, i) => engine.batch(pair(i), true))).finally(
        () => (writing = false),
      );
      for (let reads = 0; writing && reads < 100_000; reads++) {
        const { items } = await engine.range({ prefix: '', limit: 2, values: true });
        expect(items[0]!.value!.toString()).toBe(items[1]!.value!.toString());
        await new Promise(setImmediate);
      }
      await writes;
      expect(await textOf(engine, 'a')).toBe(await textOf(engine, 'z'));
    },
  },
  {
    rule: 'batches at once do not mix: money moved between accounts stays the same sum',
    async run({ engine }) {
      await engine.batch([putOf('a', '1000'), putOf('b', '1000')], true);
      const moves = Array.from({ length: 100 }, (_, i) =>
        engine.batch(
          [incrOf('a', BigInt(-i)), incrOf('b', BigInt(i)), ...(i % 3 ? [] : [incrOf('x\0', 0n)])],
          true,
        ),
      );
      await Promise.all(moves);
      expect(Number(await textOf(engine, 'a')) + Number(await textOf(engine, 'b'))).toBe(2000);
      expect(await textOf(engine, 'a')).toBe(`${1000 - 4950}`);
    },
  },
  {
    rule: 'a batch that is refused does not disturb writes that are under way with it',
    async run({ engine }) {
      const [left, refusal, right] = await Promise.all([
        engine.write(putOf('left', 'x')),
        refusalOf(engine.batch([putOf('no', 'x'), { op: 'touch', key: 'absent', expiry: 'never' }], true)),
        engine.write(putOf('right', 'x')),
      ]);
      expect([left.kind, refusal.code, right.kind]).toEqual(['created', 'missing-key', 'created']);
      expect(await namesOf(engine)).toEqual(['left', 'right']);
    },
  },
];
