import { expect } from '@jest/globals';
import type { DatabaseError } from '../../../src/errors.js';
import type { Operation } from '../../../src/storage/operation.js';
import {
  countOf,
  codeOf,
  entryOf,
  incrOf,
  keysScanned,
  kindOf,
  namesOf,
  pause,
  put,
  putOf,
  textOf,
  tied,
} from '../shorthand.js';
import type { Fixture, Rule } from '../rule.js';

/** Longer than an engine takes to sweep. */
const SWEPT_MS = 1500;

async function expectGone({ engine }: Fixture, key: string): Promise<void> {
  expect(await engine.get(key)).toBeUndefined();
  expect(await namesOf(engine)).toEqual([]);
  expect(await namesOf(engine, { reverse: true, values: true })).toEqual([]);
  expect(await namesOf(engine, { delimiter: '/' })).toEqual([]);
  expect(await keysScanned(engine)).toEqual([]);
  expect(await countOf(engine, { prefix: '' })).toBe(0);
  expect(await countOf(engine, { prefix: key })).toBe(0);
}

/** The outcome of each operation on an expired entry, which is that of an absent key. */
const AS_IF_ABSENT: readonly (readonly [Operation, string])[] = [
  [{ op: 'get', key: 'a' }, 'absent'],
  [{ op: 'check', key: 'a', condition: { ifNoneMatch: '*' } }, 'checked'],
  [{ op: 'check', key: 'a', condition: { ifMatch: '*' } }, 'precondition-failed'],
  [{ op: 'delete', key: 'a' }, 'absent'],
  [{ op: 'delete', key: 'a', condition: { ifMatch: '*' } }, 'precondition-failed'],
  [putOf('a', 'new'), 'created'],
  [putOf('a', 'new', { expiry: 'keep' }), 'created'],
  [putOf('a', 'new', { condition: { ifNoneMatch: '*' } }), 'created'],
  [putOf('a', 'new', { condition: { ifMatch: '*' } }), 'precondition-failed'],
  [incrOf('a', 1n), 'created'],
  [{ op: 'touch', key: 'a', expiry: 'never' }, 'missing-key'],
];

/** From its expiry on an entry is absent, whatever happens to the clock. */
export const expiryRules: readonly Rule[] = [
  {
    rule: 'every read shows an entry until it expires, and not from then on',
    async run(fixture) {
      await put(fixture.engine, 'a/b', 'x', { expiry: { in: 1000 } });
      fixture.time.advance(999);
      expect(await textOf(fixture.engine, 'a/b')).toBe('x');
      expect(await countOf(fixture.engine, { prefix: 'a' })).toBe(1);
      expect(await namesOf(fixture.engine, { delimiter: '/' })).toEqual(['a/']);
      fixture.time.advance(1);
      await expectGone(fixture, 'a/b');
    },
  },
  ...AS_IF_ABSENT.map(([operation, kind], i): Rule => ({
    rule: `an expired entry counts as absent for ${operation.op} (${kind}, case ${i + 1})`,
    async run({ engine, time }) {
      const old = await put(engine, 'a', '5', { expiry: { in: 1000 } });
      time.advance(1000);
      const outcome = await engine.write(operation).catch((error: DatabaseError) => error);
      expect(kindOf(outcome)).toBe(kind);
      if (kind !== 'created') return expect(await engine.get('a')).toBeUndefined();
      const entry = entryOf(outcome);
      expect([entry.created, entry.expires]).toEqual([old.created + 1000, 0]);
      expect(entry.etag).not.toBe(old.etag);
    },
  })),
  {
    rule: 'an entry that is put with an expiry in the past is absent at once',
    async run(fixture) {
      await put(fixture.engine, 'a', 'x', { expiry: { at: fixture.engine.now() } });
      await expectGone(fixture, 'a');
    },
  },
  {
    rule: 'pages stay full where entries have expired',
    async run({ engine, time }) {
      for (let i = 0; i < 20; i++)
        await put(engine, `k${String.fromCharCode(97 + i)}`, '', i % 2 ? {} : { expiry: { in: 10 } });
      time.advance(10);
      expect(await countOf(engine, { prefix: 'k' })).toBe(10);
      const page = await engine.range({ prefix: 'k', limit: 5 });
      expect(page.items.map(({ key }) => key)).toEqual(['kb', 'kd', 'kf', 'kh', 'kj']);
      expect((await engine.range({ prefix: 'k', limit: 10 })).next).toBeUndefined();
      expect((await engine.range({ prefix: 'k', limit: 10, after: 'ka' })).items).toHaveLength(10);
    },
  },
  {
    rule: 'expired entries leave the store within seconds, thousands at once too',
    async run(fixture) {
      const { engine, time } = fixture;
      const puts = Array.from({ length: 2500 }, (_, i) =>
        putOf(`k${i}`, 'x', { expiry: { in: 1 + (i % 9) } }),
      );
      await engine.batch(puts, false);
      await put(engine, 'stays', 'x', { expiry: { in: 1_000_000 } });
      expect(await fixture.storedEntries()).toBe(2501);
      time.advance(10);
      await fixture.eventually(async () => (await fixture.storedEntries()) === 1);
      expect(await namesOf(engine)).toEqual(['stays']);
      expect(await countOf(engine, { prefix: '' })).toBe(1);
      expect((await engine.stats()).entries).toBe(1);
    },
  },
  {
    rule: 'an entry whose expiry was changed, or that was created again, is not swept at the old time',
    async run({ engine, time }) {
      for (const key of ['put', 'touch', 'later', 'anew', 'batch', 'keep'])
        await put(engine, key, 'x', { expiry: { in: 1000 } });
      await put(engine, 'put', 'x');
      await engine.write({ op: 'touch', key: 'touch', expiry: 'never' });
      await engine.write({ op: 'touch', key: 'later', expiry: { in: 100_000 } });
      await engine.write({ op: 'delete', key: 'anew' });
      await put(engine, 'anew', 'x');
      await engine.batch([{ op: 'delete', key: 'batch' }, putOf('batch', 'x')], true);
      time.advance(1000);
      await pause(SWEPT_MS);
      expect(await namesOf(engine)).toEqual(['anew', 'batch', 'later', 'put', 'touch']);
      expect(await countOf(engine, { prefix: '' })).toBe(5);
      time.advance(100_000);
      expect(await namesOf(engine)).toEqual(['anew', 'batch', 'put', 'touch']);
    },
  },
  {
    rule: 'touch moves the expiry to a later or an earlier time',
    async run({ engine, time }) {
      await put(engine, 'later', 'x', { expiry: { in: 1000 } });
      await put(engine, 'sooner', 'x', { expiry: { in: 1000 } });
      await engine.write({ op: 'touch', key: 'later', expiry: { in: 2000 } });
      await engine.write({ op: 'touch', key: 'sooner', expiry: { in: 500 } });
      time.advance(500);
      expect(await namesOf(engine)).toEqual(['later']);
      time.advance(1499);
      expect(await namesOf(engine)).toEqual(['later']);
      time.advance(1);
      expect(await namesOf(engine)).toEqual([]);
    },
  },
  {
    rule: 'a clock that is set back brings no expired entry back and makes none live longer',
    async run({ engine, time }) {
      await put(engine, 'short', 'x', { expiry: { in: 1000 } });
      await put(engine, 'long', 'x', { expiry: { in: 5000 } });
      time.advance(1000);
      time.setWall(time.wall - 3_600_000);
      expect(await namesOf(engine)).toEqual(['long']);
      time.advance(3999);
      expect(await namesOf(engine)).toEqual(['long']);
      time.advance(1);
      expect(await namesOf(engine)).toEqual([]);
      expect(await codeOf(engine.write({ op: 'touch', key: 'long', expiry: 'never' }))).toBe('missing-key');
    },
  },
  {
    rule: 'the time follows a clock that jumps forward, and never runs backwards',
    async run(fixture) {
      const { engine, time } = fixture;
      await put(engine, 'a', 'x', { expiry: { in: 1000 } });
      const jumped = time.wall + 86_400_000;
      time.setWall(jumped);
      expect(await engine.get('a')).toBeUndefined();
      // Where the clock is a server's, that has to say so first.
      await fixture.eventually(() => engine.now() === jumped);
      time.setWall(0);
      expect(engine.now()).toBe(jumped);
      expect((await put(engine, 'b', 'x')).modified).toBe(jumped);
    },
  },
  {
    rule: 'a clock that is set back over a restart revives no entry: the store keeps the time',
    needs: 'durable',
    async run(fixture) {
      // In a cluster each server keeps its own time.
      const [short, long, witness] = [tied('short'), tied('long'), tied('witness')];
      await put(fixture.engine, short, 'x', { expiry: { in: 1000 } });
      await put(fixture.engine, long, 'x', { expiry: { in: 9000 } });
      fixture.time.advance(5000);
      const before = (await put(fixture.engine, witness, 'x')).modified;
      fixture.time.setWall(fixture.time.wall - 3_600_000);
      await fixture.reopen();
      expect(await namesOf(fixture.engine)).toEqual([long, witness]);
      expect((await put(fixture.engine, witness, 'y')).modified).toBe(before);
      fixture.time.advance(4000);
      expect(await namesOf(fixture.engine)).toEqual([witness]);
    },
  },
  {
    rule: 'an entry that expired while the server was stopped is absent when it starts, and is swept',
    needs: 'durable',
    async run(fixture) {
      await put(fixture.engine, 'a', 'x', { expiry: { in: 1000 } });
      await put(fixture.engine, 'b', 'x', { expiry: { in: 9000 } });
      fixture.time.advance(1000);
      await fixture.reopen();
      expect(await namesOf(fixture.engine)).toEqual(['b']);
      await fixture.eventually(async () => (await fixture.storedEntries()) === 1);
    },
  },
];
