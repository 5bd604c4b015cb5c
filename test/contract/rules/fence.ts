import { expect } from '@jest/globals';
import type { BatchOperation } from '../../../src/storage/operation.js';
import type { StorageEngine } from '../../../src/storage/storage-engine.js';
import {
  codeOf,
  countOf,
  incrOf,
  keysScanned,
  kindOf,
  loggedAfter,
  namesOf,
  pause,
  put,
  putOf,
  refusalOf,
  textOf,
  tied,
} from '../shorthand.js';
import type { Rule } from '../rule.js';

const PLACE = 'redis+cluster://10.0.0.1:6379,10.0.0.2:6379';
const OTHER_PLACE = 'lmdb:/srv/pigeonhole';
/** Longer than any engine waits between two sweeps. */
const SWEEPS_MS = 1_500;

/** One of each operation, on entries that exist and on others. */
const OPERATIONS: readonly BatchOperation[] = [
  putOf(tied('a'), 'new'),
  putOf(tied('new'), 'x', { expiry: { in: 60_000 } }),
  putOf(tied('new'), 'x', { condition: { ifNoneMatch: '*' } }),
  putOf(tied('a'), 'new', { condition: { ifMatch: ['0'] } }),
  { op: 'delete', key: tied('a') },
  { op: 'delete', key: tied('new') },
  { op: 'touch', key: tied('a'), expiry: { in: 60_000 } },
  { op: 'touch', key: tied('new'), expiry: 'never' },
  incrOf(tied('n'), 1n),
  incrOf(tied('new'), 1n),
];

async function stateOf(engine: StorageEngine): Promise<unknown> {
  const entry = await engine.get(tied('a'));
  return {
    a: [entry?.value.toString(), entry?.etag, entry?.expires],
    n: await textOf(engine, tied('n')),
    names: await namesOf(engine),
    scanned: await keysScanned(engine),
    count: await countOf(engine, { prefix: '' }),
    position: await engine.position(),
    system: await engine.system.list(''),
    secret: await engine.system.get('secret'),
  };
}

async function fill(engine: StorageEngine): Promise<void> {
  await put(engine, tied('a'), 'old');
  await put(engine, tied('n'), '41');
  await put(engine, 'other', 'x');
  await engine.system.put('secret', Buffer.from('s'));
}

/** The fence of a database that has moved. */
export const fenceRules: readonly Rule[] = [
  {
    rule: 'a database with a fence refuses every write with where it has moved, and nothing of it changes',
    async run({ engine }) {
      await fill(engine);
      expect(await engine.fence()).toBeUndefined();
      const before = await stateOf(engine);
      await engine.setFence(PLACE);
      expect(await engine.fence()).toBe(PLACE);
      for (const operation of OPERATIONS) {
        expect(await refusalOf(engine.write(operation))).toEqual({ code: 'moved' });
        await expect(engine.write(operation)).rejects.toThrow(`The database has moved to ${PLACE}.`);
        for (const atomic of [true, false])
          expect(await codeOf(engine.batch([operation], atomic))).toBe('moved');
      }
      for (const atomic of [true, false]) {
        const puts = [putOf(tied('new'), 'x'), putOf(tied('a'), 'x')];
        expect(await codeOf(engine.batch(puts, atomic))).toBe('moved');
      }
      const everywhere = Array.from({ length: 100 }, (_, i) => putOf(`spread/${i}`, 'x'));
      expect(await codeOf(engine.batch(everywhere, false))).toBe('moved');
      expect(await codeOf(engine.system.put('secret', Buffer.from('t')))).toBe('moved');
      expect(await codeOf(engine.system.put('new', Buffer.from('t')))).toBe('moved');
      expect(await codeOf(engine.system.delete('secret'))).toBe('moved');
      expect(await stateOf(engine)).toEqual(before);
    },
  },
  {
    rule: 'a database whose fence is lifted takes writes again, and has lost nothing',
    async run({ engine }) {
      await fill(engine);
      const before = await stateOf(engine);
      const position = await engine.position();
      await engine.setFence(PLACE);
      await engine.setFence(OTHER_PLACE);
      expect(await engine.fence()).toBe(OTHER_PLACE);
      await expect(engine.write(putOf('a', 'x'))).rejects.toThrow(OTHER_PLACE);
      await engine.setFence(undefined);
      await engine.setFence(undefined);
      expect(await engine.fence()).toBeUndefined();
      expect(await stateOf(engine)).toEqual(before);
      const everywhere = Array.from({ length: 100 }, (_, i) => putOf(`spread/${i}`, 'x'));
      expect(new Set((await engine.batch(everywhere, false)).map(kindOf))).toEqual(new Set(['created']));
      expect((await engine.write(incrOf(tied('n'), 1n))).kind).toBe('updated');
      await engine.system.delete('secret');
      expect((await loggedAfter(engine, position)).toSorted()).toEqual(
        [...everywhere.map(({ key }) => `put ${key}`), `put ${tied('n')}`].toSorted(),
      );
    },
  },
  {
    rule: 'of writes at the same time as a fence each is there or was refused, and none is applied after it',
    async run({ engine }) {
      const writes = Array.from({ length: 300 }, async (_, i) => {
        if (i % 50 === 0) await pause(1);
        const key = `k${i}`;
        const kind =
          i % 2 ? await codeOf(put(engine, key, 'x')) : await codeOf(engine.batch([putOf(key, 'x')], true));
        return { key, kind };
      });
      await Promise.race(writes);
      await engine.setFence(PLACE);
      const there = await keysScanned(engine);
      const acknowledged = (await Promise.all(writes)).filter(({ kind }) => kind === 'not refused');
      expect(await keysScanned(engine)).toEqual(there);
      expect(acknowledged.map(({ key }) => key).toSorted()).toEqual(there.toSorted());
      expect(new Set((await Promise.all(writes)).map(({ kind }) => kind))).not.toContain('outcome-unknown');
    },
  },
  {
    rule: 'nothing is swept behind a fence, though reads hide it, and all of it is once the fence is lifted',
    async run(fixture) {
      const { engine, time } = fixture;
      await put(engine, 'stays', 'x');
      for (let i = 0; i < 20; i++) await put(engine, `brief/${i}`, 'x', { expiry: { in: 600 } });
      await engine.setFence(PLACE);
      const position = await engine.position();
      const stored = await fixture.storedEntries();
      time.advance(1_000);
      await pause(SWEEPS_MS);
      expect(await fixture.storedEntries()).toBe(stored);
      expect(await engine.position()).toBe(position);
      expect(await keysScanned(engine)).toEqual(['stays']);
      await engine.setFence(undefined);
      await fixture.eventually(async () => (await fixture.storedEntries()) === 1);
    },
  },
  {
    rule: 'a fence is there after a restart',
    needs: 'durable',
    async run(fixture) {
      await fill(fixture.engine);
      await fixture.engine.setFence(PLACE);
      await fixture.reopen();
      expect(await fixture.engine.fence()).toBe(PLACE);
      expect(await codeOf(put(fixture.engine, 'a', 'x'))).toBe('moved');
      await fixture.engine.setFence(undefined);
      await fixture.reopen();
      expect(await fixture.engine.fence()).toBeUndefined();
      await put(fixture.engine, 'a', 'x');
    },
  },
];
