import { expect } from '@jest/globals';
import { LOGGED_VALUE_BYTES, type Change, type StorageEngine } from '../../../src/storage/storage-engine.js';
import { Random } from '../../support/random.js';
import { codeOf, eventually, headerOf, incrOf, pause, put, putOf, scanned } from '../shorthand.js';
import type { Rule } from '../rule.js';

/** Everything behind `position`; undefined if it cannot be served. A log that does not end fails. */
async function following(engine: StorageEngine, position: string): Promise<Change[] | undefined> {
  const all: Change[] = [];
  for (let reads = 0; reads < 10_000; reads++) {
    const changes = await engine.changes(position);
    if (!changes) return undefined;
    if (changes.length === 0) return all;
    all.push(...changes);
    position = changes.at(-1)!.position;
  }
  throw new Error('the log does not end');
}

/** Kinds and keys of everything behind `position`. */
async function told(engine: StorageEngine, position: string): Promise<string[]> {
  return (await following(engine, position))!.map(({ kind, key }) => `${kind} ${key}`);
}

/** What somebody holds who begins with `state` and applies `changes`: key → tag. */
function apply(state: Map<string, string>, changes: readonly Change[]): Map<string, string> {
  for (const { kind, key, etag } of changes) {
    if (kind === 'put') state.set(key, etag);
    else state.delete(key);
  }
  return state;
}

async function tagsOf(engine: StorageEngine): Promise<[string, string][]> {
  return (await scanned(engine)).map(({ key, etag }) => [key, etag]);
}

/** A random write; refused ones are part of it. */
async function scribble(engine: StorageEngine, random: Random): Promise<void> {
  const key = `k${random.below(40)}`;
  const other = `k${random.below(40)}`;
  switch (random.below(6)) {
    case 0:
      return void (await engine.write({ op: 'delete', key }));
    case 1:
      return void (await codeOf(engine.batch([putOf(key, '1'), incrOf(other, 1n), putOf(key, '2')], true)));
    case 2:
      return void (await engine.batch([incrOf(key, 1n), { op: 'delete', key: other }], false));
    case 3:
      return void (await codeOf(engine.write(putOf(key, '1', { condition: { ifNoneMatch: '*' } }))));
    case 4:
      return void (await codeOf(engine.write({ op: 'touch', key, expiry: { in: 60_000 } })));
    default:
      await put(engine, key, 'x'.repeat(random.below(50)));
  }
}

/** Every change is in the log, once and in commit order, and a reader can go on anywhere. */
export const changeLogRules: readonly Rule[] = [
  {
    rule: 'the log has every change once, in commit order: put, delete, incr, touch, edit, batches',
    async run({ engine }) {
      const start = await engine.position();
      expect(await engine.changes(start)).toEqual([]);
      await put(engine, 'a', '1');
      await engine.write(incrOf('a', 1n));
      await engine.write({ op: 'touch', key: 'a', expiry: { in: 60_000 } });
      await engine.write({ op: 'edit', key: 'a', edit: () => Buffer.from('3') });
      await put(engine, 'a', '3');
      await engine.write({ op: 'delete', key: 'a' });
      await engine.batch(
        [putOf('b', '1'), putOf('b', '2'), { op: 'delete', key: 'b' }, putOf('c', '1')],
        true,
      );
      await engine.batch([putOf('d', '1'), { op: 'get', key: 'd' }, incrOf('d', 1n)], false);
      expect((await told(engine, start)).join(', ')).toBe(
        'put a, put a, put a, put a, put a, delete a, put b, put b, delete b, put c, put d, put d',
      );
    },
  },
  {
    rule: 'a change in the log is the whole change: the entry, its value and its tag',
    async run({ engine }) {
      const start = await engine.position();
      const value = Buffer.from([0, 255, 10, 13, 128]);
      const entry = await put(engine, 'ä/😀', value, { type: 'x/y; z="1"', expiry: { in: 60_000 } });
      await engine.write({ op: 'delete', key: 'ä/😀' });
      const [made, removed] = (await following(engine, start))!;
      expect(made).toMatchObject({ kind: 'put', key: 'ä/😀', etag: entry.etag });
      expect(headerOf(made!.entry!)).toEqual(headerOf(entry));
      expect(made!.value!.equals(value)).toBe(true);
      expect(removed).toMatchObject({ kind: 'delete', key: 'ä/😀' });
      expect([removed!.entry, removed!.value]).toEqual([undefined, undefined]);
      expect(removed!.etag > entry.etag).toBe(true);
      expect(await engine.position()).toBe(removed!.position);
    },
  },
  {
    rule: 'an empty value is in the log, and one over 64 KiB is left out with its size kept',
    async run({ engine }) {
      const start = await engine.position();
      const sizes = [0, LOGGED_VALUE_BYTES, LOGGED_VALUE_BYTES + 1, 2 ** 20];
      const made = [];
      for (const size of sizes) made.push(await put(engine, `k${size}`, Buffer.alloc(size, 'v')));
      const changes = (await following(engine, start))!;
      expect(changes.map(({ value }) => value?.length)).toEqual([
        0,
        LOGGED_VALUE_BYTES,
        undefined,
        undefined,
      ]);
      expect(changes.map(({ entry }) => headerOf(entry!))).toEqual(made.map(headerOf));
    },
  },
  {
    rule: 'what is refused and what changes nothing is not in the log',
    async run({ engine }) {
      await put(engine, 'a', 'text');
      const start = await engine.position();
      await codeOf(engine.write(putOf('a', 'x', { condition: { ifNoneMatch: '*' } })));
      await codeOf(engine.write(incrOf('a', 1n)));
      await codeOf(engine.write({ op: 'touch', key: 'no', expiry: 'never' }));
      await engine.write({ op: 'delete', key: 'no' });
      await engine.write({ op: 'get', key: 'a' });
      await codeOf(engine.batch([putOf('b', '1'), putOf('c', '1'), incrOf('a', 1n)], true));
      await engine.batch([incrOf('a', 1n), { op: 'delete', key: 'no' }], false);
      expect(await following(engine, start)).toEqual([]);
      expect(await following(engine, await engine.position())).toEqual([]);
      await put(engine, 'd', '1');
      expect(await told(engine, start)).toEqual(['put d']);
    },
  },
  {
    rule: 'an expiry is in the log once, whether it was swept or met by a write',
    async run(world) {
      const { engine } = world;
      for (const key of ['swept', 'met']) await put(engine, key, 'x', { expiry: { in: 1000 } });
      const start = await engine.position();
      world.time.advance(1000);
      await put(engine, 'met', 'new');
      const isGone = async () => (await world.storedEntries()) === 1;
      expect(await eventually(isGone)).toBe(true);
      await pause(50);
      const log = (await told(engine, start)).filter((each) => each.endsWith('met'));
      expect(log).toEqual(['expire met', 'put met']);
      expect((await told(engine, start)).toSorted()).toEqual(['expire met', 'expire swept', 'put met']);
    },
  },
  {
    rule: 'a reader goes on exactly behind every position that it was given',
    async run({ engine }) {
      const start = await engine.position();
      const random = new Random(1);
      for (let i = 0; i < 150; i++) await scribble(engine, random);
      const all = (await following(engine, start))!;
      expect(all.length).toBeGreaterThan(100);
      const positions = all.map(({ position }) => position);
      expect(positions).toEqual(positions.toSorted());
      expect(new Set(positions).size).toBe(all.length);
      for (const [i, position] of positions.entries()) {
        const rest = (await following(engine, position))!;
        expect(rest.map((each) => each.position)).toEqual(positions.slice(i + 1));
      }
    },
  },
  {
    rule: 'covers tells what a position shows from what it does not',
    async run({ engine }) {
      const start = await engine.position();
      for (const key of ['a', 'b', 'c']) await put(engine, key, 'x');
      const all = (await following(engine, start))!;
      for (const [i, { position }] of all.entries()) {
        expect(all.map((change) => engine.covers(position, change))).toEqual(all.map((_, j) => j <= i));
        expect(engine.includes(start, position)).toBe(false);
        expect(engine.includes(position, start)).toBe(true);
      }
      expect(engine.covers(await engine.position(), all.at(-1)!)).toBe(true);
    },
  },
  {
    rule: 'a position that is garbage, from the future or of another database cannot be served',
    async run({ engine }) {
      await put(engine, 'a', 'x');
      await put(engine, 'b', 'x');
      const [epoch, sequence] = (await engine.position()).split('-') as [string, string];
      const later = (hex: string, by: number) =>
        (parseInt(hex, 16) + by).toString(16).padStart(hex.length, '0');
      const bad = [
        '',
        'x',
        `${epoch}-`,
        `${epoch}-${sequence}0`,
        ` ${epoch}-${sequence}`,
        '0-0',
        `${epoch}-${later(sequence, 1)}`,
        `${epoch}-${'f'.repeat(sequence.length)}`,
        ...[-1, 1, 1000].map((by) => `${later(epoch, by)}-${sequence}`),
        ...[-1, 1].map((by) => `${later(epoch, by)}-${later(sequence, -1)}`),
      ];
      for (const position of bad)
        expect([position, await engine.changes(position)]).toEqual([position, undefined]);
      expect(await engine.changes(`${epoch}-${sequence}`)).toEqual([]);
    },
  },
  {
    rule: 'the log is bounded: a position that has fallen out cannot be served, and what it holds is whole',
    async run({ engine }) {
      const start = await engine.position();
      const value = Buffer.alloc(60_000, 'v');
      const positions: string[] = [];
      for (let i = 0; i < 30; i++) {
        const batch = Array.from({ length: 50 }, (_, j) => putOf(`k${j}`, value));
        await engine.batch(batch, true);
        positions.push(await engine.position());
      }
      expect(await engine.changes(start)).toBeUndefined();
      const served: (readonly Change[] | undefined)[] = [];
      for (const position of positions) served.push(await engine.changes(position));
      const first = served.findIndex((changes) => changes !== undefined);
      expect(first).toBeGreaterThan(0);
      expect(served.slice(first)).not.toContain(undefined);
      for (let i = first; i < positions.length; i++)
        expect((await following(engine, positions[i]!))!.length).toBe(50 * (positions.length - 1 - i));
    },
  },
  {
    rule: 'listeners are called after a change is committed, not for what changes nothing, and not once they have left',
    async run({ engine }) {
      const start = await engine.position();
      let calls = 0;
      let seen = 0;
      const leave = engine.onChange(() => {
        calls++;
        void Promise.resolve(engine.changes(start)).then((changes) => (seen = changes!.length));
      });
      await put(engine, 'a', 'x');
      expect(await eventually(() => seen === 1)).toBe(true);
      const before = calls;
      await engine.write({ op: 'delete', key: 'absent' });
      await engine.write({ op: 'get', key: 'a' });
      await pause(50);
      expect(calls).toBe(before);
      await engine.batch([putOf('b', 'x'), { op: 'delete', key: 'a' }], true);
      expect(await eventually(() => seen === 3)).toBe(true);
      leave();
      const last = calls;
      await put(engine, 'c', 'x');
      await pause(50);
      expect(calls).toBe(last);
    },
  },
  {
    rule: 'pages and the log from their positions have no gap and no duplicate while others write',
    async run({ engine }) {
      const random = new Random(2);
      for (let i = 0; i < 40; i++) await put(engine, `k${i}`, 'x');
      let busy = true;
      const writers = [3, 4, 5].map(async (seed) => {
        const own = new Random(seed);
        for (let i = 0; busy && i < 5000; i++) {
          await scribble(engine, own);
          if (own.chance(0.2)) await pause(0);
        }
      });
      for (let round = 0; round < 20; round++) {
        const start = await engine.position();
        const state = new Map<string, string>();
        const shown: { upTo: string | undefined; position: string }[] = [];
        let after: string | undefined;
        do {
          const page = await engine.range({ prefix: 'k', after, limit: 7, values: true });
          for (const { key, etag } of page.items) state.set(key, etag);
          shown.push({ upTo: (after = page.next), position: page.position });
          await pause(random.below(3));
        } while (after !== undefined);
        const end = await engine.position();
        const now = new Map(await tagsOf(engine));
        const news = (await following(engine, start))!.filter((change) => {
          const page = shown.find(({ upTo }) => upTo === undefined || change.key <= upTo)!;
          return !engine.covers(page.position, change);
        });
        for (const change of news) expect(state.get(change.key) === change.etag).toBe(false);
        apply(state, news);
        // The log was read after the scan: what has happened since is left out of the comparison.
        const since = new Set((await following(engine, end))!.map(({ key }) => key));
        const settled = ([key]: [string, string]) => !since.has(key);
        expect(new Map([...state].filter(settled))).toEqual(new Map([...now].filter(settled)));
      }
      busy = false;
      await Promise.all(writers);
    },
  },
  {
    rule: 'a copy made from the log alone is the database, expiries too',
    async run(world) {
      const { engine } = world;
      const start = await engine.position();
      const random = new Random(6);
      for (let i = 0; i < 300; i++) {
        await scribble(engine, random);
        if (random.chance(0.1)) world.time.advance(20_000);
      }
      world.time.advance(120_000);
      const due = (await engine.stats()).entries;
      expect(await eventually(async () => (await world.storedEntries()) === due)).toBe(true);
      const copy = apply(new Map(), (await following(engine, start))!);
      expect(copy).toEqual(new Map(await tagsOf(engine)));
    },
  },
  {
    rule: 'the log survives a restart, and every position in it',
    needs: 'durable',
    async run(world) {
      const start = await world.engine.position();
      const random = new Random(7);
      for (let i = 0; i < 60; i++) await scribble(world.engine, random);
      await codeOf(world.engine.batch([putOf('x', '1'), incrOf('x', 2n ** 70n)], true));
      const before = (await following(world.engine, start))!;
      const last = await world.engine.position();
      world.time.advance(5000);
      await world.reopen();
      expect(await following(world.engine, last)).toEqual([]);
      await put(world.engine, 'after', 'x');
      expect(await told(world.engine, before.at(-1)!.position)).toEqual(['put after']);
      expect(await told(world.engine, start)).toEqual([
        ...before.map(({ kind, key }) => `${kind} ${key}`),
        'put after',
      ]);
    },
  },
];
