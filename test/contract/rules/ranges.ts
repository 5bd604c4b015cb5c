import { expect } from '@jest/globals';
import { Random } from '../../support/random.js';
import { countOf, inByteOrder, keysScanned, namesOf, pagesOf, put, putOf } from '../shorthand.js';
import type { Rule } from '../rule.js';

const ALPHABET = ['a', 'b', '/', '\0', 'é', '\uffff', '😀', '\u{10ffff}'];

function randomKeys(random: Random, count: number): string[] {
  return [...new Set(Array.from({ length: count }, () => random.text(ALPHABET, 5)))].filter(Boolean);
}

/** Returns the names that a range has to list. */
function expectedNames(keys: readonly string[], prefix: string, delimiter?: string): string[] {
  const names = keys
    .filter((key) => key.startsWith(prefix))
    .map((key) => {
      const at = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
      return at < 0 ? key : key.slice(0, at + delimiter!.length);
    });
  return inByteOrder([...new Set(names)]);
}

function isBetween(key: string, from: string | undefined, to: string | undefined): boolean {
  const compare = (bound: string) => Buffer.compare(Buffer.from(key), Buffer.from(bound));
  return (from === undefined || compare(from) >= 0) && (to === undefined || compare(to) < 0);
}

/** Ranges: order, limits, groups, and every key exactly once. */
export const rangeRules: readonly Rule[] = [
  {
    rule: 'a page has at most limit names, and a next exactly when more follow',
    async run({ engine }) {
      for (const key of ['a', 'b', 'c']) await put(engine, key, '');
      const page = async (limit: number, after?: string) => {
        const { items, next } = await engine.range({ prefix: '', limit, after });
        return [items.map(({ key }) => key).join(''), next];
      };
      expect(await page(2)).toEqual(['ab', 'b']);
      expect(await page(2, 'b')).toEqual(['c', undefined]);
      expect(await page(3)).toEqual(['abc', undefined]);
      expect(await page(1, 'c')).toEqual(['', undefined]);
    },
  },
  ...[1, 2, 3].map((seed): Rule => ({
    rule: `following next shows every key exactly once, both ways, grouped or not (seed ${seed})`,
    async run({ engine }) {
      const random = new Random(seed);
      const keys = randomKeys(random, 150);
      await engine.batch(
        keys.map((key) => putOf(key, 'x')),
        false,
      );
      for (const prefix of ['', 'a', 'a/', 'b/a', 'é', '\uffff', '😀', '\u{10ffff}', 'absent']) {
        for (const delimiter of [undefined, '/', 'a', '/b', '😀']) {
          for (const reverse of [false, true]) {
            const names = expectedNames(keys, prefix, delimiter);
            if (reverse) names.reverse();
            const limit = random.pick([1, 2, 3, 7, 1000]);
            const pages = await pagesOf(engine, { prefix, delimiter, reverse, limit });
            const shown = pages.flatMap(({ items, groups }) => [...items.map(({ key }) => key), ...groups]);
            expect(inByteOrder(shown)).toEqual(inByteOrder(names));
            for (const page of pages.slice(0, -1)) expect(page.items.length + page.groups.length).toBe(limit);
            const lasts = pages.slice(0, -1).map(({ next }) => next);
            expect(lasts).toEqual(lasts.map((_, i) => names[(i + 1) * limit - 1]));
          }
        }
      }
    },
  })),
  {
    rule: 'a delimiter folds keys into groups, whose names end with the first delimiter after the prefix',
    async run({ engine }) {
      for (const key of ['u', 'u/', 'u/a', 'u/a/1', 'u/a/2', 'u/b/1', 'u/c', 'v/1'])
        await put(engine, key, '');
      const { items, groups } = await engine.range({ prefix: 'u/', limit: 10, delimiter: '/' });
      expect(items.map(({ key }) => key)).toEqual(['u/', 'u/a', 'u/c']);
      expect(groups).toEqual(['u/a/', 'u/b/']);
      expect(await namesOf(engine, { delimiter: '/' })).toEqual(['u', 'u/', 'v/']);
      expect(await namesOf(engine, { delimiter: '/', reverse: true })).toEqual(['u', 'v/', 'u/']);
      expect(await namesOf(engine, { delimiter: 'absent' })).toHaveLength(8);
    },
  },
  {
    rule: 'items and groups both count towards the limit',
    async run({ engine }) {
      for (const key of ['a/1', 'a/2', 'b', 'c/1', 'd']) await put(engine, key, '');
      const first = await engine.range({ prefix: '', limit: 3, delimiter: '/' });
      expect([first.items.map(({ key }) => key), first.groups, first.next]).toEqual([
        ['b'],
        ['a/', 'c/'],
        'c/',
      ]);
      expect(await namesOf(engine, { delimiter: '/', after: 'c/' })).toEqual(['d']);
    },
  },
  {
    rule: 'after the name of a group all of it is skipped; after a key in it the rest of it is listed',
    async run({ engine }) {
      for (const key of ['a', 'b/1', 'b/2', 'b/3', 'c']) await put(engine, key, '');
      expect(await namesOf(engine, { delimiter: '/', after: 'b/' })).toEqual(['c']);
      expect(await namesOf(engine, { delimiter: '/', after: 'b/', reverse: true })).toEqual(['a']);
      expect(await namesOf(engine, { delimiter: '/', after: 'b/2' })).toEqual(['c', 'b/']);
      expect(await namesOf(engine, { delimiter: '/', after: 'b/3' })).toEqual(['c']);
      expect(await namesOf(engine, { delimiter: '/', after: 'b/2', reverse: true })).toEqual(['a', 'b/']);
      expect(await namesOf(engine, { delimiter: '/', after: 'b/1', reverse: true })).toEqual(['a']);
      expect(await namesOf(engine, { after: 'b/' })).toEqual(['b/1', 'b/2', 'b/3', 'c']);
    },
  },
  {
    rule: 'after never leads out of the prefix, wherever it points',
    async run({ engine }) {
      const keys = ['a', 'a/1', 'm', 'm/1', 'm/2', 'm0', 'z', 'z/1'];
      for (const key of keys) await put(engine, key, '');
      for (const after of [...keys, '\0', 'm/', 'm/15', '\u{10ffff}', 'zzz/']) {
        for (const delimiter of [undefined, '/']) {
          const within = ['m/1', 'm/2'];
          expect(await namesOf(engine, { prefix: 'm/', after, delimiter })).toEqual(
            within.filter((key) => key > after),
          );
          expect(await namesOf(engine, { prefix: 'm/', after, delimiter, reverse: true })).toEqual(
            within.filter((key) => key < after).toReversed(),
          );
        }
      }
    },
  },
  ...[4, 5, 6].map((seed): Rule => ({
    rule: `from is the first key of pages, scans and counts, and to the first that is left out (seed ${seed})`,
    async run({ engine, time }) {
      const random = new Random(seed);
      const alive = randomKeys(random, 120);
      const expired = alive.splice(0, 20);
      const ended = { expiry: { in: 1000 } };
      await engine.batch(
        [...alive.map((key) => putOf(key, 'x')), ...expired.map((key) => putOf(key, 'x', ended))],
        false,
      );
      time.advance(1000);
      for (let i = 0; i < 100; i++) {
        const bound = () => (random.chance(0.3) ? undefined : random.text(ALPHABET, 4) || 'a');
        const range = {
          prefix: random.pick(['', '', 'a', 'a/', '😀', '\uffff']),
          from: bound(),
          to: bound(),
        };
        const keys = alive.filter((key) => isBetween(key, range.from, range.to));
        const inRange = expectedNames(keys, range.prefix);
        expect(await countOf(engine, range)).toBe(inRange.length);
        expect(await keysScanned(engine, range)).toEqual(inRange);
        const delimiter = random.pick([undefined, '/', 'b']);
        const reverse = random.chance(0.5);
        const limit = random.pick([1, 3, 1000]);
        const pages = await pagesOf(engine, { ...range, delimiter, reverse, limit });
        const shown = pages.flatMap(({ items, groups }) => [...items.map(({ key }) => key), ...groups]);
        expect(inByteOrder(shown)).toEqual(expectedNames(keys, range.prefix, delimiter));
      }
    },
  })),
  {
    rule: 'after leads no page out of from and to, and a group is shown if one of its keys is between them',
    async run({ engine }) {
      for (const key of ['a', 'b/1', 'b/2', 'c', 'd/1']) await put(engine, key, '');
      expect(await namesOf(engine, { from: 'b/2', after: 'a' })).toEqual(['b/2', 'c', 'd/1']);
      expect(await namesOf(engine, { from: 'b/2', to: 'd', after: 'z', reverse: true })).toEqual([
        'c',
        'b/2',
      ]);
      expect(await namesOf(engine, { from: 'b/2', after: 'c' })).toEqual(['d/1']);
      expect(await namesOf(engine, { from: 'b/2', to: 'd', delimiter: '/' })).toEqual(['c', 'b/']);
      expect(await namesOf(engine, { from: 'b/3', to: 'd/1', delimiter: '/' })).toEqual(['c']);
      expect(await namesOf(engine, { from: 'c', to: 'c' })).toEqual([]);
      expect(await namesOf(engine, { from: 'd', to: 'a', reverse: true })).toEqual([]);
    },
  },
  {
    rule: 'a page with values ends once it holds maxBytes of them, with at least one item in any case',
    async run({ engine }) {
      for (const [i, size] of [10, 10, 100, 0, 0, 5].entries())
        await put(engine, `k${i}`, Buffer.alloc(size));
      const sizes = async (maxBytes: number, values = true) =>
        (await pagesOf(engine, { prefix: '', limit: 100, values, maxBytes })).map(
          ({ items }) => items.length,
        );
      expect(await sizes(20)).toEqual([2, 1, 3]);
      expect(await sizes(11)).toEqual([2, 1, 3]);
      expect(await sizes(1000)).toEqual([6]);
      expect(await sizes(1)).toEqual([1, 1, 1, 3]);
      expect((await sizes(0)).reduce((sum, size) => sum + size)).toBe(6);
      expect(await sizes(1, false)).toEqual([6]);
    },
  },
  {
    rule: 'count and stats return the number of live keys, with a prefix or of all',
    async run({ engine }) {
      const keys = randomKeys(new Random(7), 300);
      await engine.batch(
        keys.map((key) => putOf(key, 'x')),
        false,
      );
      for (const prefix of ['', 'a', 'ab', '😀', '\uffff', '\0', 'absent'])
        expect(await countOf(engine, { prefix })).toBe(keys.filter((key) => key.startsWith(prefix)).length);
      const stats = await engine.stats();
      expect(stats.entries).toBe(keys.length);
      if (stats.storedBytes !== undefined) expect(stats.storedBytes).toBeGreaterThanOrEqual(keys.length);
      if (stats.availableBytes !== undefined) expect(stats.availableBytes).toBeGreaterThan(0);
      if (stats.freeBytes !== undefined) expect(stats.freeBytes).toBeGreaterThanOrEqual(0);
    },
  },
  {
    rule: 'a count is of the whole range, whatever page of it asks for it',
    async run({ engine }) {
      for (const key of ['a', 'b/c', 'b/d', 'e']) await put(engine, key, 'x');
      for (const reverse of [false, true]) {
        const page = { after: 'b/c', limit: 1, delimiter: '/', reverse, values: true };
        expect(await countOf(engine, { prefix: '', ...page })).toBe(4);
        expect(await countOf(engine, { prefix: 'b', ...page })).toBe(2);
        const bounded = { prefix: '', from: 'b', to: 'e', ...page };
        expect(await countOf(engine, bounded)).toBe(2);
      }
    },
  },
  {
    rule: 'tens of thousands of keys are counted and listed to the last',
    async run({ engine }) {
      for (let block = 0; block < 25; block++) {
        const puts = Array.from({ length: 1000 }, (_, i) => putOf(`n/${block * 1000 + i}`, ''));
        await engine.batch(puts, false);
      }
      await put(engine, 'o', '');
      expect(await countOf(engine, { prefix: 'n/' })).toBe(25_000);
      expect(await countOf(engine, { prefix: '' })).toBe(25_001);
      const pages = await pagesOf(engine, { prefix: 'n/', limit: 1000 });
      expect(new Set(pages.flatMap(({ items }) => items.map(({ key }) => key))).size).toBe(25_000);
    },
  },
];
