import { expect } from '@jest/globals';
import type { Change } from '../../../src/storage/storage-engine.js';
import { Random } from '../../support/random.js';
import {
  apply,
  byKey,
  changesAfter,
  loggedAfter,
  pause,
  put,
  putOf,
  tagsOf,
  writeAtRandom,
} from '../shorthand.js';
import type { Rule } from '../rule.js';

/** A reader of pages and of the log from their positions misses nothing and sees nothing twice. */
export const positionRules: readonly Rule[] = [
  {
    rule: 'pages, counts and scans name the position whose state they show, those of nothing too',
    needs: 'totalOrder',
    async run({ engine }) {
      for (const prefix of ['', 'k', 'none']) {
        await put(engine, 'k', '1');
        const positions: string[] = [];
        positions.push(
          (await engine.range({ prefix, limit: 1 })).position,
          (await engine.count({ prefix })).position,
        );
        const onPosition = (position: string) => void positions.push(position);
        for await (const _ of engine.scan({ prefix, values: false, onPosition }));
        expect(positions).toHaveLength(3);
        await put(engine, 'k2', '1');
        for (const position of positions) expect(await loggedAfter(engine, position)).toEqual(['put k2']);
      }
    },
  },
  {
    rule: 'from every position the log continues with exactly the next change',
    async run({ engine }) {
      const start = await engine.position();
      const random = new Random(1);
      for (let i = 0; i < 150; i++) await writeAtRandom(engine, random);
      const all = (await changesAfter(engine, start))!;
      expect(all.length).toBeGreaterThan(100);
      expect(new Set(all.map(({ position }) => position)).size).toBe(all.length);
      for (const [i, { position }] of all.entries()) {
        const rest = (await changesAfter(engine, position))!;
        expect(byKey(rest)).toEqual(byKey(all.slice(i + 1)));
      }
    },
  },
  {
    rule: 'covers is true of exactly the changes up to a position',
    async run({ engine }) {
      const start = await engine.position();
      for (const key of ['a', 'b', 'c']) await put(engine, key, 'x');
      const all = (await changesAfter(engine, start))!;
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
    async run(fixture) {
      const { engine } = fixture;
      await put(engine, 'a', 'x');
      await put(engine, 'b', 'x');
      const position = await engine.position();
      const bad = ['', 'x', '0-0', 'é', '-', '='.repeat(8), 'f'.repeat(22), 'A'.repeat(4000)];
      const cut = [` ${position}`, `${position} `, `${position}0`, `0${position}`, position.slice(0, -1)];
      for (const each of [...bad, ...cut, position.slice(1), ...fixture.forgedPositions(position)])
        expect([each, await engine.changes(each)]).toEqual([each, undefined]);
      expect(await engine.changes(position)).toEqual({ changes: [], position });
    },
  },
  {
    rule: 'a position with one character changed cannot be served, or is an earlier one',
    async run({ engine }) {
      const positions = [await engine.position()];
      for (const key of ['a', 'b', 'c']) {
        await put(engine, key, 'x');
        positions.push(await engine.position());
      }
      const logs = await Promise.all(positions.map((position) => changesAfter(engine, position)));
      const allowed = [undefined, ...logs.map((changes) => JSON.stringify(changes))];
      const last = positions.at(-1)!;
      for (let i = 0; i < last.length; i++) {
        for (const character of 'AZaz09-_f') {
          const changed = last.slice(0, i) + character + last.slice(i + 1);
          expect(allowed).toContain(JSON.stringify(await changesAfter(engine, changed)));
        }
      }
    },
  },
  {
    rule: 'the log is bounded: a position that has left it cannot be served, and later ones miss nothing',
    async run({ engine }) {
      const start = await engine.position();
      const value = Buffer.alloc(60_000, 'v');
      const positions: string[] = [];
      for (let i = 0; i < 30; i++) {
        const batch = Array.from({ length: 50 }, (_, j) => putOf(`k${j}`, value));
        await engine.batch(batch, false);
        positions.push(await engine.position());
      }
      expect(await engine.changes(start)).toBeUndefined();
      const served: (readonly Change[] | undefined)[] = [];
      for (const position of positions) served.push((await engine.changes(position))?.changes);
      const first = served.findIndex((changes) => changes !== undefined);
      expect(first).toBeGreaterThan(0);
      expect(served.slice(first)).not.toContain(undefined);
      for (let i = first; i < positions.length; i++)
        expect((await changesAfter(engine, positions[i]!))!.length).toBe(50 * (positions.length - 1 - i));
    },
  },
  {
    rule: 'pages and the log from their positions have no gap and no duplicate while others write',
    async run({ engine }) {
      const random = new Random(2);
      for (let i = 0; i < 40; i++) await put(engine, `k{${i % 8}}${i % 5}`, 'x');
      let busy = true;
      const writers = [3, 4, 5].map(async (seed) => {
        const own = new Random(seed);
        for (let i = 0; busy && i < 5000; i++) {
          await writeAtRandom(engine, own);
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
        const news = (await changesAfter(engine, start))!.filter((change) => {
          const page = shown.find(({ upTo }) => upTo === undefined || change.key <= upTo)!;
          return !engine.covers(page.position, change);
        });
        for (const change of news) expect(state.get(change.key) === change.etag).toBe(false);
        apply(state, news);
        // The log was read after the scan: what has happened since is left out of the comparison.
        const since = new Set((await changesAfter(engine, end))!.map(({ key }) => key));
        const settled = ([key]: [string, string]) => !since.has(key);
        expect(new Map([...state].filter(settled))).toEqual(new Map([...now].filter(settled)));
      }
      busy = false;
      await Promise.all(writers);
    },
  },
];
