import { expect } from '@jest/globals';
import type { Condition } from '../../../src/storage/condition.js';
import type { Entry } from '../../../src/storage/entry.js';
import type { Operation } from '../../../src/storage/operation.js';
import type { StorageEngine } from '../../../src/storage/storage-engine.js';
import { codeOf, headerOf, kindOf, put, putOf, refusalOf, textOf } from '../shorthand.js';
import type { Rule } from '../rule.js';

const OTHER = '00000001-0000000000001';

interface Case {
  readonly name: string;
  readonly condition: (entry: Entry) => Condition;
  /** Whether it holds for the entry, and below, for an absent key. */
  readonly present: boolean;
  readonly absent: boolean;
}

const second = (entry: Entry) => entry.modified - (entry.modified % 1000);

/** RFC 9110, section 13.2.2, as a table. The entry was modified in the middle of a second. */
const CASES: readonly Case[] = [
  { name: 'If-Match with its tag', condition: (e) => ({ ifMatch: [e.etag] }), present: true, absent: false },
  {
    name: 'If-Match with another tag',
    condition: () => ({ ifMatch: [OTHER] }),
    present: false,
    absent: false,
  },
  { name: 'If-Match *', condition: () => ({ ifMatch: '*' }), present: true, absent: false },
  {
    name: 'If-Match with a list that has its tag',
    condition: (e) => ({ ifMatch: [OTHER, e.etag] }),
    present: true,
    absent: false,
  },
  { name: 'If-Match with no usable tag', condition: () => ({ ifMatch: [] }), present: false, absent: false },
  {
    name: 'If-None-Match with its tag',
    condition: (e) => ({ ifNoneMatch: [e.etag] }),
    present: false,
    absent: true,
  },
  {
    name: 'If-None-Match with another tag',
    condition: () => ({ ifNoneMatch: [OTHER] }),
    present: true,
    absent: true,
  },
  { name: 'If-None-Match *', condition: () => ({ ifNoneMatch: '*' }), present: false, absent: true },
  {
    name: 'If-None-Match with a list that has its tag',
    condition: (e) => ({ ifNoneMatch: [OTHER, e.etag] }),
    present: false,
    absent: true,
  },
  { name: 'If-None-Match with no tag', condition: () => ({ ifNoneMatch: [] }), present: true, absent: true },
  {
    name: 'If-Unmodified-Since the second it was modified in',
    condition: (e) => ({ ifUnmodifiedSince: second(e) }),
    present: true,
    absent: true,
  },
  {
    name: 'If-Unmodified-Since a second earlier',
    condition: (e) => ({ ifUnmodifiedSince: second(e) - 1000 }),
    present: false,
    absent: true,
  },
  {
    name: 'If-Modified-Since the second it was modified in',
    condition: (e) => ({ ifModifiedSince: second(e) }),
    present: false,
    absent: true,
  },
  {
    name: 'If-Modified-Since a second earlier',
    condition: (e) => ({ ifModifiedSince: second(e) - 1000 }),
    present: true,
    absent: true,
  },
  {
    name: 'If-Match that holds, over an If-Unmodified-Since that does not',
    condition: (e) => ({ ifMatch: [e.etag], ifUnmodifiedSince: second(e) - 1000 }),
    present: true,
    absent: false,
  },
  {
    name: 'If-None-Match that holds, over an If-Modified-Since that does not',
    condition: (e) => ({ ifNoneMatch: [OTHER], ifModifiedSince: second(e) }),
    present: true,
    absent: true,
  },
  {
    name: 'If-Match that holds with an If-None-Match that does not',
    condition: (e) => ({ ifMatch: '*', ifNoneMatch: [e.etag] }),
    present: false,
    absent: false,
  },
];

const OPERATIONS: readonly ((key: string, condition: Condition) => Operation)[] = [
  (key, condition) => putOf(key, '2', { condition }),
  (key, condition) => ({ op: 'delete', key, condition }),
  (key, condition) => ({ op: 'incr', key, amount: 1n, expiry: 'never', condition }),
  (key, condition) => ({ op: 'check', key, condition }),
];

const ON_PRESENT_ONLY: readonly ((key: string, condition: Condition) => Operation)[] = [
  (key, condition) => ({ op: 'get', key, condition }),
  (key, condition) => ({ op: 'touch', key, expiry: { in: 1000 }, condition }),
];

async function expectVerdict(engine: StorageEngine, operation: Operation, holds: boolean): Promise<void> {
  const before = await engine.get(operation.key);
  const refusal = await refusalOf(engine.write(operation));
  if (holds) return expect(refusal).toEqual({ code: 'not refused' });
  expect(refusal).toEqual({ code: 'precondition-failed', etag: before?.etag });
  const after = await engine.get(operation.key);
  expect(after && headerOf(after)).toEqual(before && headerOf(before));
  expect(after?.value.toString()).toBe(before?.value.toString());
}

/** Conditions are decided inside the write, in the order of RFC 9110, and the error has the current tag. */
export const conditionRules: readonly Rule[] = [
  ...CASES.map(({ name, condition, present, absent }): Rule => ({
    rule: `${name} ${present ? 'holds' : 'fails'} for the entry and ${absent ? 'holds' : 'fails'} for an absent key`,
    async run({ engine, time }) {
      time.advance(500);
      for (const [i, operation] of [...OPERATIONS, ...ON_PRESENT_ONLY].entries()) {
        const entry = await put(engine, `present ${i}`, '1');
        await expectVerdict(engine, operation(entry.key, condition(entry)), present);
      }
      const model = await put(engine, 'model', '1');
      for (const [i, operation] of OPERATIONS.entries())
        await expectVerdict(engine, operation(`absent ${i}`, condition(model)), absent);
    },
  })),
  {
    rule: 'a condition is ignored where the operation without it would not succeed: on an absent key',
    async run({ engine }) {
      const condition = { ifMatch: [OTHER] };
      expect(kindOf(await engine.write({ op: 'get', key: 'a', condition }))).toBe('absent');
      expect(await codeOf(engine.write({ op: 'touch', key: 'a', expiry: 'never', condition }))).toBe(
        'missing-key',
      );
    },
  },
  {
    rule: 'check changes nothing, whether it holds or fails',
    async run({ engine }) {
      const entry = await put(engine, 'a', 'x');
      expect(await engine.write({ op: 'check', key: 'a', condition: { ifMatch: '*' } })).toEqual({
        kind: 'checked',
      });
      await refusalOf(engine.write({ op: 'check', key: 'a', condition: { ifNoneMatch: '*' } }));
      expect(headerOf((await engine.get('a'))!)).toEqual(headerOf(entry));
    },
  },
  {
    rule: 'a tag from before a change no longer matches',
    async run({ engine }) {
      const { etag } = await put(engine, 'a', '1');
      const change = () => put(engine, 'a', '2', { condition: { ifMatch: [etag] } });
      await change();
      expect(await codeOf(change())).toBe('precondition-failed');
      await engine.write({ op: 'delete', key: 'a' });
      await put(engine, 'a', '1');
      expect(await codeOf(change())).toBe('precondition-failed');
    },
  },
  {
    rule: 'of concurrent compare-and-swaps exactly one succeeds, and the others fail with its tag',
    async run({ engine }) {
      const { etag } = await put(engine, 'a', '0');
      const swaps = Array.from({ length: 20 }, (_, i) =>
        put(engine, 'a', `${i + 1}`, { condition: { ifMatch: [etag] } }),
      );
      const refusals = await Promise.all(swaps.map(refusalOf));
      const winner = refusals.findIndex(({ code }) => code === 'not refused');
      expect(await textOf(engine, 'a')).toBe(`${winner + 1}`);
      const current = (await engine.get('a'))!.etag;
      refusals.splice(winner, 1);
      for (const refusal of refusals) expect(refusal).toEqual({ code: 'precondition-failed', etag: current });
    },
  },
  {
    rule: 'of concurrent creations exactly one succeeds',
    async run({ engine }) {
      const attempts = Array.from({ length: 20 }, () =>
        codeOf(put(engine, 'lock', 'mine', { condition: { ifNoneMatch: '*' } })),
      );
      const won = (await Promise.all(attempts)).filter((code) => code === 'not refused');
      expect(won).toHaveLength(1);
    },
  },
];
