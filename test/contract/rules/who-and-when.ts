import { expect } from '@jest/globals';
import { recentChange, type RecentChange } from '../../../src/storage/recent-change.js';
import type { Change, StorageEngine } from '../../../src/storage/storage-engine.js';
import { Random } from '../../support/random.js';
import type { Rule } from '../rule.js';
import { changesAfter, codeOf, incrOf, put, putOf, tied, writeAtRandom } from '../shorthand.js';

/** Public ids of tokens. */
const ANN = 'aNnAnNaNn001';
const BOB = 'bObBoBbObB02';

function whoAndWhat({ kind, key, by }: Change): string {
  return `${by ?? 'nobody'}: ${kind} ${key}`;
}

/** Whether the time never runs backwards: of the changes that have one order, all of them or those of each key. */
function areInOrder(engine: StorageEngine, changes: readonly Change[]): boolean {
  const latest = new Map<string, number>();
  return changes.every(({ key, time }) => {
    const order = engine.capabilities.totalOrder ? '' : key;
    const isLater = time >= (latest.get(order) ?? 0);
    latest.set(order, time);
    return isLater;
  });
}

/** The log says of each change who made it and when. */
export const whoAndWhenRules: readonly Rule[] = [
  {
    rule: 'the log says who put, counted, touched and deleted, and of what had no token it says nobody',
    async run({ engine }) {
      const start = await engine.position();
      await engine.write({ ...putOf('a', '1'), by: ANN });
      await engine.write({ ...incrOf('a', 1n), by: BOB });
      await engine.write({ op: 'touch', key: 'a', expiry: { in: 60_000 }, by: ANN });
      await put(engine, 'a', '3');
      await engine.write({ ...putOf('a', Buffer.alloc(2 ** 17)), by: BOB });
      await engine.write({ op: 'delete', key: 'a', by: ANN });
      await put(engine, 'a', '4');
      await engine.write({ op: 'delete', key: 'a' });
      const changes = (await changesAfter(engine, start))!;
      expect(changes.map(whoAndWhat)).toEqual([
        `${ANN}: put a`,
        `${BOB}: put a`,
        `${ANN}: put a`,
        'nobody: put a',
        `${BOB}: put a`,
        `${ANN}: delete a`,
        'nobody: put a',
        'nobody: delete a',
      ]);
      expect(changes.map(({ entry }) => entry?.key)).toEqual(
        changes.map(({ kind }) => (kind === 'put' ? 'a' : undefined)),
      );
    },
  },
  {
    rule: 'the log says of each operation of a batch who asked for it',
    async run({ engine }) {
      const [a, b] = [tied('a'), tied('b')];
      for (const atomic of [true, false]) {
        await put(engine, b, 'x');
        const start = await engine.position();
        const batch = [putOf(a, '1'), { op: 'delete', key: b } as const, incrOf(a, 1n), putOf(a, 'x')];
        await engine.batch(
          batch.map((operation, i) => ({ ...operation, ...(i < 3 && { by: i === 1 ? BOB : ANN }) })),
          atomic,
        );
        const changes = (await changesAfter(engine, start))!;
        const expected = [`${ANN}: put ${a}`, `${BOB}: delete ${b}`, `${ANN}: put ${a}`, `nobody: put ${a}`];
        expect(changes.map(whoAndWhat)).toEqual(expected);
      }
    },
  },
  {
    rule: 'an expiry is nobody’s, whether a sweep or somebody’s write finds it',
    async run(fixture) {
      const { engine } = fixture;
      for (const key of ['swept', 'met'])
        await engine.write({ ...putOf(key, 'x', { expiry: { in: 1000 } }), by: ANN });
      const start = await engine.position();
      fixture.time.advance(1000);
      await engine.write({ ...putOf('met', 'new'), by: BOB });
      await fixture.eventually(async () => (await fixture.storedEntries()) === 1);
      const changes = (await changesAfter(engine, start))!;
      expect(changes.map(whoAndWhat).toSorted()).toEqual([
        `${BOB}: put met`,
        'nobody: expire met',
        'nobody: expire swept',
      ]);
    },
  },
  {
    rule: 'the log says when each change was made, by the time of the engine',
    async run(fixture) {
      const { engine } = fixture;
      const start = await engine.position();
      const between: [number, number][] = [];
      const during = async (work: () => Promise<unknown>) => {
        const before = engine.now();
        await work();
        between.push([before, engine.now()]);
        fixture.time.advance(10_000);
      };
      await during(() => put(engine, 'a', '1', { expiry: { in: 5000 } }));
      await during(() => put(engine, 'a', '2'));
      await during(() => engine.write({ op: 'touch', key: 'a', expiry: { in: 600_000 } }));
      await during(() => engine.write({ op: 'delete', key: 'a' }));
      const changes = (await changesAfter(engine, start))!.filter(({ kind }) => kind !== 'expire');
      expect(changes).toHaveLength(between.length);
      // A server's clock that the engine asks once a second may be ahead of what it knows.
      const slack = 2000;
      for (const [i, { time, entry }] of changes.entries()) {
        expect(time).toBeGreaterThanOrEqual(between[i]![0] - slack);
        expect(time).toBeLessThanOrEqual(between[i]![1] + slack);
        if (entry) expect(time).toBe(entry.modified);
      }
    },
  },
  {
    rule: 'the time never runs backwards in the log, expiries and batches included',
    async run(fixture) {
      const { engine } = fixture;
      const start = await engine.position();
      const random = new Random(8);
      for (let i = 0; i < 150; i++) {
        await writeAtRandom(engine, random);
        await codeOf(
          engine.batch([putOf(tied('x'), '1', { expiry: { in: 1000 } }), incrOf(tied('n'), 1n)], true),
        );
        if (random.chance(0.2)) fixture.time.advance(random.below(20_000));
      }
      const changes = (await changesAfter(engine, start))!;
      expect(changes.length).toBeGreaterThan(300);
      expect(areInOrder(engine, changes)).toBe(true);
      expect(new Set(changes.map(({ time }) => time)).size).toBeGreaterThan(10);
    },
  },
  {
    rule: 'the newest changes come first, each as the log has it, as many as are asked for',
    async run(fixture) {
      const { engine } = fixture;
      const start = await engine.position();
      expect(await engine.newestChanges(5, '')).toEqual([]);
      await engine.write({ ...putOf('a', '12345', { type: 'x/y' }), by: ANN });
      await put(engine, 'b', Buffer.alloc(2 ** 17));
      for (let i = 0; i < 40; i++) await engine.write({ ...putOf('a', String(i)), by: BOB });
      await put(engine, 'c', '', { expiry: { in: 60_000 } });
      fixture.time.advance(10_000);
      await engine.write({ op: 'delete', key: 'b', by: ANN });
      const logged = (await changesAfter(engine, start))!.map(recentChange);
      const newest = [...(await engine.newestChanges(1000, ''))];
      for (const key of ['a', 'b', 'c']) {
        const ofKey = (changes: RecentChange[]) => changes.filter((change) => change.key === key);
        expect(ofKey(newest).toReversed()).toEqual(ofKey(logged));
      }
      expect(newest).toHaveLength(logged.length);
      expect(newest.map(({ time }) => time)).toEqual(
        newest.map(({ time }) => time).toSorted((a, b) => b - a),
      );
      expect(await engine.newestChanges(3, '')).toEqual(newest.slice(0, 3));
      expect(newest[0]).toEqual({ ...newest[0], key: 'b', kind: 'delete', by: ANN, type: undefined });
    },
  },
  {
    rule: 'the newest changes of a prefix are those of keys that go on after it, and of no other',
    async run({ engine }) {
      for (const key of ['{a}/', '{a}/1', '{a}0', '{b}/1', 'a/', 'a/1', 'a/1', 'A/1', 'b'])
        await put(engine, key, 'x');
      const keysOf = async (prefix: string) =>
        (await engine.newestChanges(100, prefix)).map(({ key }) => key);
      expect(await keysOf('a/')).toEqual(['a/1', 'a/1']);
      expect(await keysOf('{a}/')).toEqual(['{a}/1']);
      expect(await keysOf('none/')).toEqual([]);
    },
  },
  {
    rule: 'who and when survive a restart',
    needs: 'durable',
    async run(fixture) {
      const start = await fixture.engine.position();
      await fixture.engine.write({ ...putOf('a', '1'), by: ANN });
      await fixture.engine.write({ op: 'delete', key: 'a', by: BOB });
      const told = async () =>
        (await changesAfter(fixture.engine, start))!.map((change) => [whoAndWhat(change), change.time]);
      const before = await told();
      fixture.time.advance(5000);
      await fixture.reopen();
      expect(await told()).toEqual(before);
      await put(fixture.engine, 'b', '1');
      expect(areInOrder(fixture.engine, (await changesAfter(fixture.engine, start))!)).toBe(true);
    },
  },
];
