import { expect } from '@jest/globals';
import { LOGGED_VALUE_BYTES } from '../../../src/storage/storage-engine.js';
import { changes as counted, conditionsFailed } from '../../../src/storage/storage-meters.js';
import { Random } from '../../support/random.js';
import {
  apply,
  byKey,
  changesAfter,
  codeOf,
  countOf,
  headerOf,
  incrOf,
  loggedAfter,
  pause,
  put,
  putOf,
  tagsOf,
  tied,
  writeAtRandom,
} from '../shorthand.js';
import type { Rule } from '../rule.js';

/** The log has every change once and in commit order, and a reader can continue from any position. */
export const changeLogRules: readonly Rule[] = [
  {
    rule: 'the log has every change once, of each key in commit order: put, delete, incr, touch, batches',
    async run({ engine }) {
      const start = await engine.position();
      expect((await engine.changes(start))?.changes).toEqual([]);
      await put(engine, 'a', '1');
      await engine.write(incrOf('a', 1n));
      await engine.write({ op: 'touch', key: 'a', expiry: { in: 60_000 } });
      await put(engine, 'a', '2', { expiry: 'keep' });
      await put(engine, 'a', '3');
      await engine.write({ op: 'delete', key: 'a' });
      const [b, c] = [tied('b'), tied('c')];
      await engine.batch([putOf(b, '1'), putOf(b, '2'), { op: 'delete', key: b }, putOf(c, '1')], true);
      await engine.batch([putOf('d', '1'), { op: 'get', key: 'd' }, incrOf('d', 1n)], false);
      const changes = (await changesAfter(engine, start))!;
      const kinds = [...byKey(changes)].map(([key, each]) => [key, each.map((one) => one.split(' ')[0])]);
      expect(Object.fromEntries(kinds)).toEqual({
        a: ['put', 'put', 'put', 'put', 'put', 'delete'],
        [b]: ['put', 'put', 'delete'],
        [c]: ['put'],
        d: ['put', 'put'],
      });
      expect(new Set(changes.map(({ etag }) => etag)).size).toBe(12);
    },
  },
  {
    rule: 'the log has the changes of all keys in the order of the commits',
    needs: 'totalOrder',
    async run({ engine }) {
      const start = await engine.position();
      const keys = Array.from({ length: 60 }, (_, i) => `k${(i * 7) % 20}`);
      for (const key of keys) await put(engine, key, 'x');
      await engine.batch([putOf('z', '1'), putOf('b', '1'), { op: 'delete', key: 'z' }], false);
      expect(await loggedAfter(engine, start)).toEqual([
        ...keys.map((key) => `put ${key}`),
        'put z',
        'put b',
        'delete z',
      ]);
    },
  },
  {
    rule: 'a logged change has the entry, its value and its tag',
    async run({ engine }) {
      const start = await engine.position();
      const value = Buffer.from([0, 255, 10, 13, 128]);
      const entry = await put(engine, 'ä/😀', value, { type: 'x/y; z="1"', expiry: { in: 60_000 } });
      await engine.write({ op: 'delete', key: 'ä/😀' });
      const [made, removed] = (await changesAfter(engine, start))!;
      expect(made).toMatchObject({ kind: 'put', key: 'ä/😀', etag: entry.etag });
      expect(headerOf(made!.entry!)).toEqual(headerOf(entry));
      expect(made!.value!.equals(value)).toBe(true);
      expect(removed).toMatchObject({ kind: 'delete', key: 'ä/😀' });
      expect([removed!.entry, removed!.value]).toEqual([undefined, undefined]);
      expect(removed!.etag).not.toBe(entry.etag);
      expect(engine.covers(await engine.position(), removed!)).toBe(true);
    },
  },
  {
    rule: 'the log keeps an empty value, and only the size of a value over 64 KiB',
    async run({ engine }) {
      const start = await engine.position();
      const sizes = [0, LOGGED_VALUE_BYTES, LOGGED_VALUE_BYTES + 1, 2 ** 20];
      const made = [];
      for (const size of sizes) made.push(await put(engine, tied(`k${size}`), Buffer.alloc(size, 'v')));
      const changes = (await changesAfter(engine, start))!;
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
    rule: 'refused operations and those that change nothing are not in the log',
    async run({ engine }) {
      await put(engine, 'a', 'text');
      const start = await engine.position();
      await codeOf(engine.write(putOf('a', 'x', { condition: { ifNoneMatch: '*' } })));
      await codeOf(engine.write(incrOf('a', 1n)));
      await codeOf(engine.write({ op: 'touch', key: 'no', expiry: 'never' }));
      await engine.write({ op: 'delete', key: 'no' });
      await engine.write({ op: 'get', key: 'a' });
      await codeOf(engine.batch([putOf('a', '1'), putOf('{a}b', '1'), incrOf('a', 2n ** 63n)], true));
      await engine.batch([incrOf('a', 1n), { op: 'delete', key: 'no' }], false);
      expect(await changesAfter(engine, start)).toEqual([]);
      expect(await changesAfter(engine, await engine.position())).toEqual([]);
      await put(engine, 'd', '1');
      expect(await loggedAfter(engine, start)).toEqual(['put d']);
    },
  },
  {
    rule: 'an expiry is in the log once, whether a sweep or a write finds it',
    async run(fixture) {
      const { engine } = fixture;
      for (const key of ['swept', 'met']) await put(engine, key, 'x', { expiry: { in: 1000 } });
      const start = await engine.position();
      fixture.time.advance(1000);
      await put(engine, 'met', 'new');
      const isGone = async () => (await fixture.storedEntries()) === 1;
      await fixture.eventually(isGone);
      await pause(50);
      const log = (await loggedAfter(engine, start)).filter((each) => each.endsWith('met'));
      expect(log).toEqual(['expire met', 'put met']);
      expect((await loggedAfter(engine, start)).toSorted()).toEqual([
        'expire met',
        'expire swept',
        'put met',
      ]);
    },
  },
  {
    rule: 'listeners are called after a change is committed, not when nothing changes, and not after they are removed',
    async run(fixture) {
      const { engine } = fixture;
      const start = await engine.position();
      let calls = 0;
      let seen = 0;
      const leave = engine.onChange(() => {
        calls++;
        void Promise.resolve(engine.changes(start)).then((page) => (seen = page!.changes.length));
      });
      await put(engine, 'a', 'x');
      await fixture.eventually(() => seen === 1);
      const before = calls;
      await engine.write({ op: 'delete', key: 'absent' });
      await engine.write({ op: 'get', key: 'a' });
      await pause(50);
      expect(calls).toBe(before);
      await engine.batch([putOf('b', 'x'), { op: 'delete', key: 'a' }], false);
      await fixture.eventually(() => seen === 3);
      leave();
      const last = calls;
      await put(engine, 'c', 'x');
      await pause(50);
      expect(calls).toBe(last);
    },
  },
  {
    rule: 'a copy that is made from the log alone equals the database, expiries included',
    async run(fixture) {
      const { engine } = fixture;
      const start = await engine.position();
      const random = new Random(6);
      for (let i = 0; i < 300; i++) {
        await writeAtRandom(engine, random);
        if (random.chance(0.1)) fixture.time.advance(20_000);
      }
      fixture.time.advance(120_000);
      const due = await countOf(engine, { prefix: '' });
      await fixture.eventually(async () => (await fixture.storedEntries()) === due);
      const copy = apply(new Map(), (await changesAfter(engine, start))!);
      expect(copy).toEqual(new Map(await tagsOf(engine)));
    },
  },
  {
    rule: 'what is done is counted, and figures tell the size of the log and when its oldest change was made',
    async run(fixture) {
      const { engine, time } = fixture;
      const start = await engine.position();
      const before = { ...counted.by };
      const failed = conditionsFailed.value;
      await put(engine, 'a', 'x', { expiry: { in: 1000 } });
      await put(engine, 'b', 'x');
      await put(engine, 'b', 'y');
      await engine.write({ op: 'delete', key: 'b' });
      await engine.write({ op: 'delete', key: 'absent' });
      await codeOf(put(engine, 'a', 'y', { condition: { ifNoneMatch: '*' } }));
      time.advance(2000);
      await fixture.eventually(async () => counted.by.expire === before.expire + 1);
      expect(counted.by).toEqual({
        put: before.put + 3,
        delete: before.delete + 1,
        expire: before.expire + 1,
      });
      expect(conditionsFailed.value).toBe(failed + 1);
      const { logBytes, oldestChange, entries } = await engine.stats();
      if (logBytes !== undefined) expect(logBytes).toBeGreaterThan(0);
      expect(entries).toBe(0);
      const [oldest] = (await changesAfter(engine, start))!;
      if (oldestChange !== undefined) expect(oldestChange).toBeLessThanOrEqual(oldest!.time);
    },
  },
  {
    rule: 'the log and its positions survive a restart',
    needs: 'durable',
    async run(fixture) {
      const start = await fixture.engine.position();
      const random = new Random(7);
      for (let i = 0; i < 60; i++) await writeAtRandom(fixture.engine, random);
      await codeOf(fixture.engine.batch([putOf('x', '1'), incrOf('x', 2n ** 70n)], true));
      const before = (await changesAfter(fixture.engine, start))!;
      const last = await fixture.engine.position();
      fixture.time.advance(5000);
      await fixture.reopen();
      expect(await changesAfter(fixture.engine, last)).toEqual([]);
      await put(fixture.engine, 'after', 'x');
      expect(await loggedAfter(fixture.engine, before.at(-1)!.position)).toEqual(['put after']);
      const after = (await changesAfter(fixture.engine, start))!;
      expect(byKey(after.filter(({ key }) => key !== 'after'))).toEqual(byKey(before));
      expect(after).toHaveLength(before.length + 1);
    },
  },
];
