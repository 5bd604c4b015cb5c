import { expect } from '@jest/globals';
import { DatabaseError } from '../../../src/errors.js';
import type { BatchOperation } from '../../../src/storage/operation.js';
import {
  countOf,
  entryOf,
  headerOf,
  incrOf,
  kindOf,
  namesOf,
  put,
  putOf,
  refusalOf,
  textOf,
  tied,
} from '../shorthand.js';
import type { Rule } from '../rule.js';

const NOT_A_NUMBER = 'text';
const [A, B, C, Z] = ['a', 'b', 'c', 'z'].map(tied) as [string, string, string, string];

/** Operations that are refused, each with its code. */
const REFUSED: readonly (readonly [BatchOperation, string])[] = [
  [{ op: 'check', key: A, condition: { ifNoneMatch: '*' } }, 'precondition-failed'],
  [{ op: 'get', key: A, condition: { ifMatch: [] } }, 'precondition-failed'],
  [putOf(tied('new'), 'x', { condition: { ifMatch: '*' } }), 'precondition-failed'],
  [{ op: 'delete', key: A, condition: { ifMatch: [] } }, 'precondition-failed'],
  [incrOf(A, 1n), 'not-an-integer'],
  [{ op: 'touch', key: tied('absent'), expiry: 'never' }, 'missing-key'],
];

/** Keys that Redis puts into one slot: equal ones, or with equal text between the first `{` and the next `}`. */
const ONE_SLOT = [
  ['a', 'a'],
  ['{t}a', '{t}b', 'x{t}'],
  ['{é/😀}', '{é/😀}a'],
  ['{t}{u}', '{t}'],
  ['a{t}b{u}', '{t}{v}'],
  ['{{t}a', '{{t}b'],
];

/** Keys that Redis puts into different slots, though some of them may share one by chance. */
const SEVERAL_SLOTS = [
  ['a', 'b'],
  ['{t}a', '{u}a'],
  ['{t}a', '{t}b', 'c'],
  ['{}a', '{}b'],
  ['{ta', '{tb'],
  ['t}a', 't}b'],
  ['{}{t}a', '{}{t}b'],
  ['k3', 'k9', 'k27'],
];

/** Batches, which are atomic or pipelines. */
export const batchRules: readonly Rule[] = [
  {
    rule: 'an empty batch has no outcomes',
    async run({ engine }) {
      expect(await engine.batch([], true)).toEqual([]);
      expect(await engine.batch([], false)).toEqual([]);
    },
  },
  ...[true, false].map((atomic): Rule => ({
    rule: `operations of ${atomic ? 'an atomic batch' : 'a pipeline'} are applied in order and see those before them`,
    async run({ engine }) {
      const outcomes = await engine.batch(
        [
          putOf(A, '1', { condition: { ifNoneMatch: '*' } }),
          { op: 'get', key: A },
          incrOf(A, 41n),
          { op: 'check', key: A, condition: { ifMatch: '*' } },
          putOf(A, '42!', { type: 'x/y', expiry: 'keep' }),
          { op: 'touch', key: A, expiry: { in: 1000 } },
          { op: 'get', key: A },
          { op: 'delete', key: A },
          { op: 'get', key: A },
          { op: 'delete', key: A },
          putOf(A, 'anew', { expiry: 'keep' }),
          putOf(B, 'other'),
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
      const stored = (await engine.get(A))!;
      expect(headerOf(stored)).toEqual(headerOf(entryOf(outcomes[10]!)));
      expect(stored.expires).toBe(0);
      expect(await namesOf(engine)).toEqual([A, B]);
    },
  })),
  ...REFUSED.map(([refused, code], i): Rule => ({
    rule: `an atomic batch with a refused ${refused.op} applies nothing and names code and index (case ${i + 1})`,
    async run({ engine, time }) {
      const before = await put(engine, A, NOT_A_NUMBER, { type: 'text/x', expiry: { in: 9000 } });
      await put(engine, tied('gone'), 'x', { expiry: { in: 10 } });
      time.advance(10);
      const batch: BatchOperation[] = [
        putOf(B, 'x'),
        { op: 'touch', key: A, expiry: 'never' },
        putOf(tied('gone'), 'back'),
        refused,
        putOf(C, 'x'),
      ];
      const refusal = await refusalOf(engine.batch(batch, true));
      expect([refusal.code, refusal.index]).toEqual([code, 3]);
      const after = (await engine.get(A))!;
      expect(headerOf(after)).toEqual(headerOf(before));
      expect(after.value.toString()).toBe(NOT_A_NUMBER);
      expect(await namesOf(engine)).toEqual([A]);
      expect(await countOf(engine, { prefix: '' })).toBe(1);
      expect(kindOf(await engine.write(putOf(B, 'x')))).toBe('created');
    },
  })),
  {
    rule: 'a condition in a batch sees the batch: a key created twice is refused at the second',
    async run({ engine }) {
      const create = putOf(A, 'x', { condition: { ifNoneMatch: '*' } });
      const refusal = await refusalOf(engine.batch([create, create], true));
      expect([refusal.code, refusal.index]).toEqual(['precondition-failed', 1]);
      expect(await engine.get(A)).toBeUndefined();
      expect((await engine.batch([create, { op: 'delete', key: A }, create], true)).map(kindOf)).toEqual([
        'created',
        'deleted',
        'created',
      ]);
    },
  },
  {
    rule: 'get and delete of an absent key refuse no batch',
    async run({ engine }) {
      const batch: BatchOperation[] = [{ op: 'get', key: A }, { op: 'delete', key: A }, putOf(B, 'x')];
      expect((await engine.batch(batch, true)).map(kindOf)).toEqual(['absent', 'absent', 'created']);
    },
  },
  {
    rule: 'in a pipeline a refused operation has its error in its place, and the rest is applied',
    async run({ engine }) {
      await put(engine, A, NOT_A_NUMBER);
      const outcomes = await engine.batch(
        [putOf(B, '1'), ...REFUSED.map(([op]) => op), incrOf(B, 1n)],
        false,
      );
      expect(outcomes.map(kindOf)).toEqual(['created', ...REFUSED.map(([, code]) => code), 'updated']);
      expect(outcomes.slice(1, -1).every((outcome) => outcome instanceof DatabaseError)).toBe(true);
      expect(await textOf(engine, B)).toBe('2');
      expect(await textOf(engine, A)).toBe(NOT_A_NUMBER);
    },
  },
  {
    rule: 'a thousand operations are one batch, on a thousand keys or all on one',
    async run({ engine }) {
      await engine.batch(
        Array.from({ length: 1000 }, (_, i) => putOf(tied(`k${i}`), `${i}`)),
        true,
      );
      expect(await countOf(engine, { prefix: tied('k') })).toBe(1000);
      await engine.batch(
        Array.from({ length: 1000 }, () => incrOf(tied('n'), 1n)),
        true,
      );
      expect(await textOf(engine, tied('n'))).toBe('1000');
      await engine.batch(
        Array.from({ length: 1000 }, () => incrOf(tied('n'), 1n)),
        false,
      );
      expect(await textOf(engine, tied('n'))).toBe('2000');
    },
  },
  {
    rule: 'readers see an atomic batch whole or not at all',
    async run({ engine }) {
      const pair = (i: number) => [putOf(A, `${i}`), putOf(Z, `${i}`)];
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
      expect(await textOf(engine, A)).toBe(await textOf(engine, Z));
    },
  },
  {
    rule: 'concurrent batches do not mix: money that moves between two accounts keeps its sum',
    async run({ engine }) {
      await engine.batch([putOf(A, '1000'), putOf(B, '1000')], true);
      const moves = Array.from({ length: 100 }, (_, i) =>
        engine.batch(
          [incrOf(A, BigInt(-i)), incrOf(B, BigInt(i)), ...(i % 3 ? [] : [incrOf(tied('x\0'), 0n)])],
          true,
        ),
      );
      await Promise.all(moves);
      expect(Number(await textOf(engine, A)) + Number(await textOf(engine, B))).toBe(2000);
      expect(await textOf(engine, A)).toBe(`${1000 - 4950}`);
    },
  },
  {
    rule: 'a refused batch does not disturb concurrent writes',
    async run({ engine }) {
      const [left, refusal, right] = await Promise.all([
        engine.write(putOf('left', 'x')),
        refusalOf(
          engine.batch([putOf(tied('no'), 'x'), { op: 'touch', key: tied('absent'), expiry: 'never' }], true),
        ),
        engine.write(putOf('right', 'x')),
      ]);
      expect([left.kind, refusal.code, right.kind]).toEqual(['created', 'missing-key', 'created']);
      expect(await namesOf(engine)).toEqual(['left', 'right']);
    },
  },
  {
    rule: 'a pipeline may name keys of any partitions',
    async run({ engine }) {
      const puts = [...new Set(SEVERAL_SLOTS.flat())].map((key) => putOf(key, 'x'));
      expect((await engine.batch(puts, false)).map(kindOf)).toEqual(puts.map(() => 'created'));
    },
  },
  ...ONE_SLOT.map((keys): Rule => ({
    rule: `an atomic batch over keys that share a {tag} is applied: ${keys.join(' ')}`,
    async run({ engine }) {
      const outcomes = await engine.batch(
        keys.map((key) => incrOf(key, 1n)),
        true,
      );
      expect(outcomes.map(kindOf)).toEqual(
        keys.map((key, i) => (keys.indexOf(key) < i ? 'updated' : 'created')),
      );
    },
  })),
  ...SEVERAL_SLOTS.map((keys): Rule => ({
    rule: `an atomic batch over other keys is applied where the engine can, and refused as cross-slot elsewhere: ${keys.join(' ')}`,
    async run({ engine }) {
      const start = await engine.position();
      const puts = keys.map((key) => putOf(key, 'x'));
      const refusal = await refusalOf(engine.batch([...puts, puts[0]!], true));
      const able = engine.capabilities.atomicAcrossKeys;
      expect(refusal).toEqual(able ? { code: 'not refused' } : { code: 'cross-slot', keys });
      expect(await countOf(engine, { prefix: '' })).toBe(able ? keys.length : 0);
      expect((await engine.changes(start))?.changes).toHaveLength(able ? keys.length + 1 : 0);
    },
  })),
];
