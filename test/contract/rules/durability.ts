import { expect } from '@jest/globals';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { backUpTo } from '../../support/backup.js';
import {
  countOf,
  codeOf,
  incrOf,
  namesOf,
  digestsOf,
  put,
  putOf,
  scanned,
  textOf,
  tied,
} from '../shorthand.js';
import type { Rule } from '../rule.js';
import { HARD_KEYS } from './keys.js';

/** A restart and a backup keep everything. */
export const durabilityRules: readonly Rule[] = [
  {
    rule: 'every entry is the same after a restart: value, type, times, expiry and tag',
    needs: 'durable',
    async run(fixture) {
      for (const [i, key] of HARD_KEYS.entries())
        await put(fixture.engine, key, `v${i}`, {
          type: `x/${i}`,
          expiry: i % 3 ? 'never' : { in: 90_000 + i },
        });
      await put(fixture.engine, 'big', Buffer.alloc(3 * 2 ** 20, 'b'));
      const before = digestsOf(await scanned(fixture.engine));
      fixture.time.advance(1000);
      await fixture.reopen();
      const after = digestsOf(await scanned(fixture.engine));
      expect(after).toEqual(before);
      expect(await countOf(fixture.engine, { prefix: '' })).toBe(HARD_KEYS.length + 1);
      fixture.time.advance(100_000);
      expect(await countOf(fixture.engine, { prefix: '' })).toBe(
        1 + HARD_KEYS.filter((_, i) => i % 3).length,
      );
    },
  },
  {
    rule: 'deletions, counters and batches survive a restart, and later writes build on them',
    needs: 'durable',
    async run(fixture) {
      await put(fixture.engine, tied('gone'), 'x');
      await fixture.engine.write({ op: 'delete', key: tied('gone') });
      await fixture.engine.write(incrOf('n', 41n));
      await fixture.engine.batch([putOf(tied('a'), '1'), putOf(tied('b'), '2')], true);
      await codeOf(fixture.engine.batch([putOf(tied('c'), '3'), incrOf(tied('gone'), 2n ** 70n)], true));
      for (let restart = 0; restart < 3; restart++) {
        await fixture.reopen();
        expect(await namesOf(fixture.engine)).toEqual(['n', tied('a'), tied('b')]);
      }
      await fixture.engine.write(incrOf('n', 1n));
      expect(await textOf(fixture.engine, 'n')).toBe('42');
    },
  },
  {
    rule: 'closing finishes the writes under way: all succeed, and a durable engine keeps them',
    async run(fixture) {
      await put(fixture.engine, 'e', 'x');
      const many = Array.from({ length: 1000 }, (_, i) => putOf(`m${i}`, `${i}`));
      const writes: Promise<unknown>[] = [
        ...Array.from({ length: 200 }, (_, i) => put(fixture.engine, `k${i}`, `${i}`)),
        fixture.engine.batch(many, false),
        fixture.engine.batch([putOf(tied('a'), 'x'), putOf(tied('b'), 'x')], true),
        fixture.engine.write({ op: 'touch', key: 'e', expiry: { in: 3_600_000 } }),
        fixture.engine.system.put('s', Buffer.from('secret')),
      ];
      const closed = fixture.engine.close();
      const settled = await Promise.allSettled(writes);
      await closed;
      expect(settled.every(({ status }) => status === 'fulfilled')).toBe(true);
      if (!fixture.engine.capabilities.durable) return;
      await fixture.reopen();
      const counts = ['k', 'm', tied('')].map(async (prefix) => countOf(fixture.engine, { prefix }));
      expect(await Promise.all(counts)).toEqual([200, 1000, 2]);
      expect((await fixture.engine.get('e'))?.expires).toBeGreaterThan(0);
      expect((await fixture.engine.system.get('s'))?.toString()).toBe('secret');
    },
  },
  {
    rule: 'closing a second time does nothing',
    async run({ engine }) {
      await put(engine, 'a', 'x');
      await Promise.all([engine.close(), engine.close()]);
      await engine.close();
    },
  },
  {
    rule: 'a backup opens as a database of its own, with every entry and private record',
    needs: 'backup',
    async run(fixture) {
      const { engine, folder } = fixture;
      for (const [i, key] of HARD_KEYS.entries()) await put(engine, key, `v${i}`);
      await put(engine, 'big', Buffer.alloc(2 ** 20, 'b'), { expiry: { in: 60_000 } });
      await engine.system.put('token', Buffer.from('secret'));
      const before = digestsOf(await scanned(engine));
      await backUpTo(engine, join(folder, 'copy'));
      await put(engine, 'later', 'x');
      const copy = await fixture.openBackup(join(folder, 'copy'));
      const copied = digestsOf(await scanned(copy));
      expect(copied).toEqual(before);
      expect((await copy.system.get('token'))?.toString()).toBe('secret');
      await put(copy, 'only in the copy', 'x');
      expect(await engine.get('only in the copy')).toBeUndefined();
    },
  },
  {
    rule: 'a copy without a target has no name, and until it is released there is no other one',
    needs: 'backup',
    async run({ engine }) {
      await put(engine, 'a', 'x');
      const copy = await engine.backup();
      expect(fstatSync(copy.descriptor)).toMatchObject({ nlink: 0, size: copy.bytes });
      expect({ entries: copy.entries, position: copy.position }).toEqual({
        entries: 1,
        position: await engine.position(),
      });
      expect(await codeOf(engine.backup())).toBe('busy');
      copy.release();
      (await engine.backup()).release();
    },
  },
  {
    rule: 'a backup that is ended or cannot be written fails, and the next one does not',
    needs: 'backup',
    async run({ engine, folder }) {
      await put(engine, 'a', 'x');
      const why = new Error('nobody wants it any more');
      await expect(engine.backup(undefined, AbortSignal.abort(why))).rejects.toBe(why);
      const descriptor = openSync(folder, 'r');
      expect(await codeOf(engine.backup({ descriptor, folder }))).toBe('unavailable');
      closeSync(descriptor);
      await put(engine, 'b', 'x');
      (await engine.backup()).release();
    },
  },
  {
    rule: 'a backup made while others write shows one instant',
    needs: 'backup',
    async run(fixture) {
      const { engine } = fixture;
      const pair = (i: number) => [putOf('a', `${i}`), putOf('z', `${i}`)];
      await engine.batch(
        Array.from({ length: 1000 }, (_, i) => putOf(`m${i}`, 'x'.repeat(500))),
        true,
      );
      await engine.batch(pair(0), true);
      let busy = true;
      const writer = (async () => {
        for (let i = 1; busy && i < 10_000; i++) await engine.batch(pair(i), true);
      })();
      await backUpTo(engine, join(fixture.folder, 'copy')).finally(() => (busy = false));
      await writer;
      const copy = await fixture.openBackup(join(fixture.folder, 'copy'));
      expect(await textOf(copy, 'a')).toBe(await textOf(copy, 'z'));
      expect(await countOf(copy, { prefix: '' })).toBe(1002);
    },
  },
  {
    rule: 'backup fails with not-supported exactly where the engine declares no backup',
    async run({ engine }) {
      const code = await codeOf(engine.backup().then((copy) => copy.release()));
      expect(code).toBe(engine.capabilities.backup ? 'not refused' : 'not-supported');
    },
  },
];
