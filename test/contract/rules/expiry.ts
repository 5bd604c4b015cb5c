import { expect } from '@jest/globals';
import type { DatabaseError } from '../../../src/errors.js';
import type { Operation } from '../../../src/storage/operation.js';
import {
  codeOf,
  entryOf,
  eventually,
  incrOf,
  keysScanned,
  kindOf,
  namesOf,
  pause,
  put,
  putOf,
  textOf,
} from '../shorthand.js';
import type { Rule, World } from '../rule.js';

/** Longer than an engine may take to sweep. */
const SWEPT_MS = 1500;

async function expectGone({ engine }: World, key: string): Promise<void> {
  expect(await engine.get(key)).toBeUndefined();
  expect(await namesOf(engine)).toEqual([]);
  expect(await namesOf(engine, { reverse: true, values: true })).toEqual([]);
  expect(await namesOf(engine, { delimiter: '/' })).toEqual([]);
  expect(await keysScanned(engine)).toEqual([]);
  expect(await engine.count('')).toBe(0);
  expect(await engine.count(key)).toBe(0);
  expect((await engine.stats()).entries).toBe(0);
}

/** What each operation says of an entry whose time has run out: the same as of a key that never was. */
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
  [{ op: 'edit', key: 'a', edit: () => Buffer.from('x') }, 'missing-key'],
];

/** From its time on an entry is absent, whatever the clock does. */
export const expiryRules: readonly Rule[] = [
  {
    rule: 'an entry is there until its time and absent from it on, to every read',
    async run(world) {
      await put(world.engine, 'a/b', 'x', { expiry: { in: 1000 } });
      world.time.advance(999);
      expect(await textOf(world.engine, 'a/b')).toBe('x');
      expect(await world.engine.count('a')).toBe(1);
      expect(await namesOf(world.engine, { delimiter: '/' })).toEqual(['a/']);
      world.time.advance(1);
      await expectGone(world, 'a/b');
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
    rule: 'an entry whose time is already past is absent at once',
    async run(world) {
      await put(world.engine, 'a', 'x', { expiry: { at: world.engine.now() } });
      await expectGone(world, 'a');
    },
  },
  {
    rule: 'what expires hides only itself, and pages stay full around it',
    async run({ engine, time }) {
      for (let i = 0; i < 20; i++)
        await put(engine, `k${String.fromCharCode(97 + i)}`, '', i % 2 ? {} : { expiry: { in: 10 } });
      time.advance(10);
      expect(await engine.count('k')).toBe(10);
      const page = await engine.range({ prefix: 'k', limit: 5 });
      expect(page.items.map(({ key }) => key)).toEqual(['kb', 'kd', 'kf', 'kh', 'kj']);
      expect((await engine.range({ prefix: 'k', limit: 10 })).next).toBeUndefined();
      expect((await engine.range({ prefix: 'k', limit: 10, after: 'ka' })).items).toHaveLength(10);
    },
  },
  {
    rule: 'within a second or so what has expired is out of the store too, thousands at once as well',
    async run(world) {
      const { engine, time } = world;
      const puts = Array.from({ length: 2500 }, (_, i) =>
        putOf(`k${i}`, 'x', { expiry: { in: 1 + (i % 9) } }),
      );
      await engine.batch(puts, false);
      await put(engine, 'stays', 'x', { expiry: { in: 1_000_000 } });
      expect(await world.storedEntries()).toBe(2501);
      time.advance(10);
      expect(await eventually(async () => (await world.storedEntries()) === 1)).toBe(true);
      expect(await namesOf(engine)).toEqual(['stays']);
      expect(await engine.count('')).toBe(1);
      expect((await engine.stats()).entries).toBe(1);
    },
  },
  {
    rule: 'an entry that lost its expiry, or was made anew, is not swept when the old time comes',
    async run({ engine, time }) {
      for (const key of ['put', 'touch', 'later', 'anew', 'batch', 'edit'])
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
      expect(await engine.count('')).toBe(5);
      expect((await engine.stats()).entries).toBe(5);
      time.advance(100_000);
      expect(await namesOf(engine)).toEqual(['anew', 'batch', 'put', 'touch']);
    },
  },
  {
    rule: 'touch decides how long an entry lives, later or sooner',
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
    rule: 'a clock set back brings nothing expired back and makes nothing live longer',
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
    rule: 'a clock that jumps forward is believed, and time never goes back behind an answer',
    async run({ engine, time }) {
      await put(engine, 'a', 'x', { expiry: { in: 1000 } });
      const jumped = time.wall + 86_400_000;
      time.setWall(jumped);
      expect(await engine.get('a')).toBeUndefined();
      expect(engine.now()).toBe(jumped);
      time.setWall(0);
      expect(engine.now()).toBe(jumped);
      expect((await put(engine, 'b', 'x')).modified).toBe(jumped);
    },
  },
  {
    rule: 'a clock set back over a restart brings nothing back: the store remembers the time',
    needs: 'durable',
    async run(world) {
      await put(world.engine, 'short', 'x', { expiry: { in: 1000 } });
      await put(world.engine, 'long', 'x', { expiry: { in: 9000 } });
      world.time.advance(5000);
      await put(world.engine, 'witness', 'x');
      const before = world.engine.now();
      world.time.setWall(world.time.wall - 3_600_000);
      await world.reopen();
      expect(world.engine.now()).toBe(before);
      expect(await namesOf(world.engine)).toEqual(['long', 'witness']);
      world.time.advance(4000);
      expect(await namesOf(world.engine)).toEqual(['witness']);
    },
  },
  {
    rule: 'what expired while the server was stopped is absent when it starts, and swept',
    needs: 'durable',
    async run(world) {
      await put(world.engine, 'a', 'x', { expiry: { in: 1000 } });
      await put(world.engine, 'b', 'x', { expiry: { in: 9000 } });
      world.time.advance(1000);
      await world.reopen();
      expect(await namesOf(world.engine)).toEqual(['b']);
      expect(await eventually(async () => (await world.storedEntries()) === 1)).toBe(true);
    },
  },
];
