import { expect } from '@jest/globals';
import { DatabaseError } from '../../../src/errors.js';
import type { KeyedAnswer, KeyedWrite } from '../../../src/storage/idempotency.js';
import type { BatchOperation, Outcome } from '../../../src/storage/operation.js';
import type { StorageEngine } from '../../../src/storage/storage-engine.js';
import { codeOf, headerOf, incrOf, kindOf, put, putOf, refusalOf, textOf, tied } from '../shorthand.js';
import type { Rule } from '../rule.js';

const [A, B] = ['a', 'b'].map(tied) as [string, string];
const DAY = 24 * 60 * 60 * 1000;

/** Returns a key as the door of HTTP makes it. */
function keyOf(name: string, fingerprint = 'f'): KeyedWrite['key'] {
  const digest = (text: string) => Buffer.from(text.padEnd(32, '.')).toString('base64url');
  return { id: digest(name), fingerprint: digest(fingerprint) };
}

function once(name: string, operation: BatchOperation, more: Partial<KeyedWrite> = {}): KeyedWrite {
  return { key: keyOf(name), mode: 'single', operations: [operation], ...more };
}

/** Returns what must be equal of two answers to one write: all of it but values that are not part of the answer. */
function answered({ outcomes, expires }: KeyedAnswer, withValues = false): unknown {
  const plain = (outcome: Outcome | DatabaseError) => {
    if (outcome instanceof DatabaseError)
      return { code: outcome.code, detail: outcome.detail, ...outcome.context };
    if (!('entry' in outcome)) return outcome;
    const { kind, entry } = outcome;
    return { kind, ...headerOf(entry), ...(withValues && { value: entry.value.toString() }) };
  };
  return { outcomes: outcomes.map(plain), expires };
}

/** Does a write twice, which must come to the same and be done once. Returns what it came to. */
async function twice(engine: StorageEngine, write: KeyedWrite, withValues = false): Promise<KeyedAnswer> {
  const first = await engine.writeOnce(write);
  const position = await engine.position();
  const second = await engine.writeOnce(write);
  expect([first.isReplay, second.isReplay]).toEqual([false, true]);
  expect(answered(second, withValues)).toEqual(answered(first, withValues));
  expect(await engine.position()).toBe(position);
  return first;
}

const rules: readonly Omit<Rule, 'needs'>[] = [
  {
    rule: 'a keyed write is done once, and a repeat returns what it came to the first time',
    run: async ({ engine }) => {
      await twice(engine, once('1', putOf(A, 'x', { type: 'text/x; charset="é"', expiry: { in: 5000 } })));
      await put(engine, A, 'other');
      await twice(engine, once('2', putOf(A, 'z')));
      await twice(engine, once('3', incrOf(B, 5n)), true);
      await twice(engine, once('4', incrOf(B, 5n)), true);
      expect(await textOf(engine, B)).toBe('10');
      await twice(engine, once('5', { op: 'touch', key: B, expiry: { in: 1000 } }));
      await twice(engine, once('6', { op: 'delete', key: B }));
      await put(engine, B, 'again');
      const [outcome] = (await engine.writeOnce(once('6', { op: 'delete', key: B }))).outcomes;
      expect(kindOf(outcome!)).toBe('deleted');
      expect(await textOf(engine, B)).toBe('again');
      await twice(engine, once('7', { op: 'delete', key: tied('absent') }));
    },
  },
  {
    rule: 'what a keyed write decides against is remembered, though the reason has gone since',
    run: async ({ engine }) => {
      await put(engine, A, 'text');
      const refused: [string, BatchOperation, string][] = [
        ['1', incrOf(A, 1n), 'not-an-integer'],
        ['2', { op: 'touch', key: B, expiry: 'never' }, 'missing-key'],
        ['3', putOf(A, 'x', { condition: { ifNoneMatch: '*' } }), 'precondition-failed'],
        ['4', putOf(B, 'x', { condition: { ifMatch: '*' } }), 'precondition-failed'],
      ];
      for (const [name, operation, code] of refused) {
        const { outcomes } = await twice(engine, once(name, operation));
        expect(outcomes.map(kindOf)).toEqual([code]);
      }
      await engine.write({ op: 'delete', key: A });
      await put(engine, B, '9');
      for (const [name, operation, code] of refused) {
        const answer = await engine.writeOnce(once(name, operation));
        expect([answer.isReplay, ...answer.outcomes.map(kindOf)]).toEqual([true, code]);
      }
      expect([await textOf(engine, A), await textOf(engine, B)]).toEqual([undefined, '9']);
    },
  },
  {
    rule: 'another write under the key of one is refused, and nothing is done',
    run: async ({ engine }) => {
      await engine.writeOnce(once('1', incrOf(A, 1n)));
      const other = { ...once('1', incrOf(A, 2n)), key: keyOf('1', 'other') };
      expect(await codeOf(engine.writeOnce(other))).toBe('idempotency-mismatch');
      const asked = async () => engine.recall({ key: keyOf('1', 'other'), operations: [incrOf(A, 2n)] });
      expect(await codeOf(asked())).toBe('idempotency-mismatch');
      expect(await textOf(engine, A)).toBe('1');
      await engine.writeOnce(once('2', incrOf(A, 1n)));
      expect(await textOf(engine, A)).toBe('2');
    },
  },
  {
    rule: 'of tries of one keyed write at the same time one does it, and all return what it came to',
    run: async ({ engine }) => {
      const tries = Array.from({ length: 20 }, () => engine.writeOnce(once('1', incrOf(A, 1n))));
      const answers = await Promise.all(tries);
      expect(answers.filter(({ isReplay }) => !isReplay)).toHaveLength(1);
      for (const answer of answers) expect(answered(answer, true)).toEqual(answered(answers[0]!, true));
      expect(await textOf(engine, A)).toBe('1');
    },
  },
  {
    rule: 'a keyed batch, atomic or not, is done once, and a repeat has the values that it read',
    run: async ({ engine }) => {
      await put(engine, A, 'before');
      const operations: BatchOperation[] = [
        { op: 'get', key: A },
        putOf(A, Buffer.from([0, 255, 10])),
        { op: 'get', key: A },
        incrOf(B, 1n),
        { op: 'get', key: tied('absent') },
        { op: 'check', key: A, condition: { ifMatch: '*' } },
        { op: 'delete', key: tied('absent') },
      ];
      const valuesOf = ({ outcomes }: KeyedAnswer) =>
        outcomes.map((each, i) =>
          'entry' in each && operations[i]!.op !== 'put' ? each.entry.value.toString('hex') : kindOf(each),
        );
      for (const mode of ['atomic', 'pipeline'] as const) {
        const write: KeyedWrite = { key: keyOf(mode), mode, operations };
        const first = await twice(engine, write);
        await put(engine, A, 'later');
        expect(valuesOf(await engine.writeOnce(write))).toEqual(valuesOf(first));
      }
      expect(await textOf(engine, B)).toBe('2');
    },
  },
  {
    rule: 'a keyed atomic batch that is refused is remembered with its index, a pipeline with the refusal in its place',
    run: async ({ engine }) => {
      await put(engine, A, 'text');
      const operations = [putOf(B, 'x'), incrOf(A, 1n), putOf(B, 'y')];
      const refused = await twice(engine, { key: keyOf('1'), mode: 'atomic', operations });
      expect(refused.outcomes.map((each) => [kindOf(each), (each as DatabaseError).context.index])).toEqual([
        ['not-an-integer', 1],
      ]);
      expect(await textOf(engine, B)).toBeUndefined();
      const mixed = await twice(engine, { key: keyOf('2'), mode: 'pipeline', operations });
      expect(mixed.outcomes.map(kindOf)).toEqual(['created', 'not-an-integer', 'updated']);
    },
  },
  {
    rule: 'a keyed write that is tried on a condition of its caller remembers only success',
    run: async ({ engine }) => {
      const { etag } = await put(engine, A, 'x');
      const attempt = (tag: string) =>
        once('1', putOf(A, 'y', { condition: { ifMatch: [tag] } }), { isAttempt: true, keepsValues: true });
      expect(await codeOf(engine.writeOnce(attempt('other')))).toBe('precondition-failed');
      const first = await engine.writeOnce(attempt(etag));
      const second = await engine.writeOnce(attempt('other'));
      expect([first.isReplay, second.isReplay]).toEqual([false, true]);
      expect(answered(second, true)).toEqual(answered(first, true));
    },
  },
  {
    rule: 'what a caller refuses a keyed write with is remembered, unless the write was done',
    run: async ({ engine }) => {
      const refusal = new DatabaseError('not-json', `The value of the key \`${A}\` is no JSON.`);
      const operation: BatchOperation = { op: 'get', key: A };
      const { outcomes } = await twice(engine, once('1', operation, { refusal }));
      expect(outcomes.map((each) => [kindOf(each), (each as DatabaseError).detail])).toEqual([
        ['not-json', refusal.detail],
      ]);
      await engine.writeOnce(once('2', putOf(A, 'x')));
      const done = await engine.writeOnce(once('2', operation, { refusal }));
      expect([done.isReplay, ...done.outcomes.map(kindOf)]).toEqual([true, 'created']);
    },
  },
  {
    rule: 'recall returns what a keyed write came to, and undefined before that',
    run: async ({ engine }) => {
      const write = once('1', incrOf(A, 7n));
      expect(await engine.recall(write)).toBeUndefined();
      const first = await engine.writeOnce(write);
      const recalled = (await engine.recall(write))!;
      expect(answered(recalled, true)).toEqual(answered(first, true));
      expect([recalled.isReplay, (await engine.recall({ ...write, operations: [] }))?.isReplay]).toEqual([
        true,
        true,
      ]);
    },
  },
  {
    rule: 'an answer is remembered for IDEMPOTENCY_TTL, and its key is a new one then',
    run: async ({ engine, time }) => {
      const write = once('1', incrOf(A, 1n));
      const { expires } = await engine.writeOnce(write);
      expect(expires - engine.now()).toBeLessThanOrEqual(DAY);
      expect(expires - engine.now()).toBeGreaterThan(DAY - 60_000);
      time.advance(DAY - 60_000);
      expect((await engine.writeOnce(write)).isReplay).toBe(true);
      time.advance(60_000);
      expect(await engine.recall(write)).toBeUndefined();
      expect(kindOf((await engine.writeOnce({ ...write, key: keyOf('1', 'other') })).outcomes[0]!)).toBe(
        'updated',
      );
      expect(await textOf(engine, A)).toBe('2');
    },
  },
  {
    rule: 'an answer that may be too large to be remembered is refused before anything is applied',
    run: async ({ engine }) => {
      const value = Buffer.alloc(3 * 2 ** 20, 'x');
      for (const key of [A, B]) await put(engine, key, value);
      const gets: BatchOperation[] = [A, B].map((key) => ({ op: 'get', key }));
      const operations = [incrOf(tied('n'), 1n), ...gets];
      const refusal = await refusalOf(engine.writeOnce({ key: keyOf('1'), mode: 'atomic', operations }));
      expect(refusal).toMatchObject({ code: 'body-too-large', setting: 'IDEMPOTENCY_BYTES' });
      expect(await engine.head(tied('n'))).toBeUndefined();
      const large = putOf(A, Buffer.alloc(5 * 2 ** 20));
      expect(await codeOf(engine.writeOnce(once('2', large, { keepsValues: true })))).toBe('body-too-large');
      expect((await engine.get(A))!.size).toBe(value.length);
      // Values that are not part of the answer may have any size.
      await twice(engine, once('3', large));
    },
  },
  {
    rule: 'the oldest answers go when all have more bytes than IDEMPOTENCY_BYTES',
    run: async ({ engine, time }) => {
      const value = Buffer.alloc(2 ** 20 * 0.9, 'x');
      const write = (i: number) => once(`k${i}`, putOf(A, value), { keepsValues: true });
      for (let i = 0; i < 24; i++) {
        time.advance(1);
        await engine.writeOnce(write(i));
      }
      const kept = await Promise.all(
        Array.from({ length: 24 }, async (_, i) => (await engine.recall(write(i))) !== undefined),
      );
      const first = kept.indexOf(true);
      expect(first).toBeGreaterThan(0);
      expect(kept.slice(first)).not.toContain(false);
      expect(kept.at(-1)).toBe(true);
    },
  },
  {
    rule: 'private records are listed without what is remembered',
    run: async ({ engine }) => {
      await engine.writeOnce(once('1', putOf(A, 'x')));
      expect(await engine.system.list('')).toEqual([]);
    },
  },
];

const durable: Omit<Rule, 'needs'> = {
  rule: 'answers outlive the process',
  run: async (fixture) => {
    if (!fixture.engine.capabilities.durable) return;
    const write = once('1', incrOf(A, 1n));
    const refused = once('2', incrOf(A, 1n), {
      operations: [putOf(A, 'x', { condition: { ifNoneMatch: '*' } })],
    });
    const answers = [await fixture.engine.writeOnce(write), await fixture.engine.writeOnce(refused)];
    await fixture.reopen();
    for (const [i, each] of [write, refused].entries()) {
      const again = await fixture.engine.writeOnce(each);
      expect(again.isReplay).toBe(true);
      expect(answered(again, true)).toEqual(answered(answers[i]!, true));
    }
    expect(await textOf(fixture.engine, A)).toBe('1');
  },
};

export const idempotencyRules: readonly Rule[] = [...rules, durable].map((rule) => ({
  ...rule,
  needs: 'idempotencyKeys',
}));
