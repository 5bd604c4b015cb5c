import { expect } from '@jest/globals';
import type { StorageEngine } from '../../../src/storage/storage-engine.js';
import { Random } from '../../support/random.js';
import {
  compareVersions,
  known,
  momentOf,
  PastModel,
  plain,
  shown,
  versionAt,
  wholeHistory,
} from '../past-model.js';
import type { Fixture, Rule } from '../rule.js';
import { changesAfter, codeOf, incrOf, put, putOf, tied, writeAtRandom } from '../shorthand.js';

const ANN = 'aNnAnNaNn001';

/** Makes a random history, with expiries that are swept and such that are not. Returns its model. */
async function randomHistory(fixture: Fixture, writes: number, seed: number): Promise<PastModel> {
  const { engine, time } = fixture;
  const random = new Random(seed);
  const start = await engine.position();
  for (let i = 0; i < writes; i++) {
    await writeAtRandom(engine, random);
    if (random.chance(0.1)) await put(engine, 'brief', String(i), { expiry: { in: 1 + random.below(3000) } });
    if (random.chance(0.3)) time.advance(random.below(4000));
  }
  return new PastModel((await changesAfter(engine, start))!.map(known));
}

async function historyOf(engine: StorageEngine, key: string): Promise<string[]> {
  return (await wholeHistory(engine, key)).map(({ kind, value }) => `${kind} ${value?.toString() ?? '-'}`);
}

/** Whether a tag of one key names a moment of another: of an engine without one order of all changes, if they share a `{tag}`. */
function shareMoments(engine: StorageEngine, one: string, other: string): boolean {
  const tagIn = (key: string) => /\{.*\}/.exec(key)?.[0];
  return (
    engine.capabilities.totalOrder ||
    one === other ||
    (tagIn(one) !== undefined && tagIn(one) === tagIn(other))
  );
}

/** The change log is the history of each key, and shows every earlier state. */
export const pastRules: readonly Rule[] = [
  {
    rule: 'the history of a key has every change of it, newest first, with who, when, entry and value',
    async run(fixture) {
      const { engine } = fixture;
      const start = await engine.position();
      await engine.write({ ...putOf('a', '1', { type: 'x/y' }), by: ANN });
      await put(engine, 'ab', 'another');
      await engine.write({ op: 'touch', key: 'a', expiry: { in: 60_000 } });
      await put(engine, 'a', '2', { expiry: { in: 1000 } });
      fixture.time.advance(2000);
      await put(engine, 'a', '');
      await engine.write({ op: 'delete', key: 'a', by: ANN });
      await engine.write({ op: 'delete', key: 'a' });
      await engine.batch([incrOf('a', 5n), { op: 'delete', key: 'a' }, putOf('a', '7')], false);
      await engine.write({ op: 'delete', key: 'a' });
      const logged = (await changesAfter(engine, start))!.filter(({ key }) => key === 'a');
      expect((await wholeHistory(engine, 'a')).map(shown)).toEqual(logged.toReversed().map(shown));
      expect(await historyOf(engine, 'a')).toEqual([
        'delete -',
        'put 7',
        'delete -',
        'put 5',
        'delete -',
        'put ',
        'expire -',
        'put 2',
        'put 1',
        'put 1',
      ]);
      expect(await engine.past.history('never', { limit: 10 })).toMatchObject({
        changes: [],
        next: undefined,
        isCut: false,
      });
    },
  },
  {
    rule: 'pages of a history follow each other, and one goes on after any moment',
    async run({ engine }) {
      const [a, other] = [tied('a'), tied('other')];
      const tags: string[] = [];
      for (let i = 0; i < 8; i++) {
        if (i % 3 === 2) await engine.write({ op: 'delete', key: a });
        else await put(engine, a, String(i));
        tags.push((await engine.past.history(a, { limit: 1 }))!.changes[0]!.etag);
        await put(engine, other, String(i));
      }
      const tagsAfter = async (after: string, limit = 100) =>
        (await engine.past.history(a, { after, limit }))!.changes.map(({ etag }) => etag);
      for (let limit = 1; limit < 4; limit++)
        expect((await wholeHistory(engine, a, limit)).map(({ etag }) => etag)).toEqual(tags.toReversed());
      for (const [i, tag] of tags.entries()) {
        expect(await tagsAfter(tag)).toEqual(tags.slice(0, i).toReversed());
        const others = (await engine.past.history(other, { limit: 100 }))!.changes.toReversed();
        expect(await tagsAfter(others[i]!.etag)).toEqual(tags.slice(0, i + 1).toReversed());
      }
      for (const garbage of ['x', '', 'ABC-1', '00000000-000000000000g'])
        expect(await engine.past.history(a, { after: garbage, limit: 1 })).toBeUndefined();
    },
  },
  {
    rule: 'a page of a history ends after so many bytes of values, and has at least one change',
    async run({ engine }) {
      for (let i = 0; i < 4; i++) await put(engine, 'a', Buffer.alloc(1000, i));
      const sizes: number[] = [];
      let after: string | undefined;
      do {
        const page = (await engine.past.history('a', { after, limit: 100, maxBytes: 1500 }))!;
        sizes.push(page.changes.length);
        after = page.next;
      } while (after !== undefined);
      expect(sizes).toEqual([2, 2]);
      expect((await engine.past.history('a', { limit: 100, maxBytes: 0 }))!.changes).toHaveLength(1);
    },
  },
  {
    rule: 'every key is at every tag what the log says up to it, with the versions before and after it',
    async run(fixture) {
      const { engine } = fixture;
      const model = await randomHistory(fixture, 120, 5);
      expect(await compareVersions(engine, model)).toBe(model.changes.length);
      const random = new Random(6);
      for (let i = 0; i < 200; i++) {
        const { key: changed, etag } = random.pick(model.changes);
        const key = random.pick(model.keys.filter((each) => shareMoments(engine, each, changed)));
        expect(plain(await versionAt(engine, key, { tag: etag }))).toEqual(model.atTag(key, etag));
      }
      const [key] = model.keys;
      const puts = model.history(key!).filter(({ kind }) => kind === 'put');
      for (const [i, { etag }] of puts.entries())
        expect(await versionAt(engine, key!, { tag: etag })).toMatchObject({
          predecessor: puts[i + 1]?.etag,
          successor: puts[i - 1]?.etag,
        });
    },
  },
  {
    rule: 'every key is at every time what a reader saw then, whether or not an expiry was logged by then',
    async run(fixture) {
      const { engine } = fixture;
      const begin = engine.now();
      const model = await randomHistory(fixture, 120, 7);
      const span = engine.now() - begin;
      const random = new Random(8);
      const times = [begin - 1, begin, engine.now(), engine.now() + 60_000];
      for (let i = 0; i < 40; i++) times.push(begin + random.below(span));
      for (const change of model.changes.slice(0, 40)) times.push(change.time, change.time - 1);
      for (const time of times)
        for (const key of ['never', ...model.keys]) {
          const expected = model.atTime(key, Math.min(time, engine.now()));
          expect(plain(await versionAt(engine, key, { time }))).toEqual(expected);
        }
    },
  },
  {
    rule: 'what a reader sees at a moment is what that moment shows later',
    async run(fixture) {
      const { engine, time } = fixture;
      const random = new Random(9);
      const seen: { at: number; position: string; keys: Map<string, string> }[] = [];
      for (let i = 0; i < 60; i++) {
        await writeAtRandom(engine, random);
        time.advance(1 + random.below(3000));
        const { items } = await engine.range({ prefix: '', limit: 1000 });
        const keys = new Map(items.map(({ key, etag }) => [key, etag]));
        seen.push({ at: engine.now(), position: await engine.position(), keys });
        time.advance(1);
      }
      const all = new Set(seen.flatMap(({ keys }) => [...keys.keys()]));
      for (const { at, keys } of seen)
        for (const key of all)
          expect((await versionAt(engine, key, { time: at })).entry?.etag).toBe(keys.get(key));
    },
  },
  {
    rule: 'a value that is too large for the log is known by its size and tag, and while it is the present one',
    async run({ engine }) {
      const large = await put(engine, 'a', Buffer.alloc(100_000, 1));
      const version = await versionAt(engine, 'a', { tag: large.etag });
      expect(version.entry).toMatchObject({ etag: large.etag, size: 100_000 });
      expect(version.value).toBeUndefined();
      await put(engine, 'a', 'small');
      const before = await versionAt(engine, 'a', { tag: large.etag });
      expect(before.entry).toMatchObject({ etag: large.etag, size: 100_000 });
      expect(before.value).toBeUndefined();
      expect((await wholeHistory(engine, 'a')).map(({ entry }) => entry!.size)).toEqual([5, 100_000]);
    },
  },
  {
    rule: 'a moment that this database has never had is not reached, and text that is none is no moment',
    async run(fixture) {
      const { engine } = fixture;
      const { etag } = await put(engine, 'a', '1');
      const position = await engine.position();
      // An engine without snapshots looks for a moment in the log of a key, and so only when it is given one.
      const isToldAtOnce = engine.capabilities.snapshots;
      for (const forged of fixture.forgedPositions(position)) {
        if (isToldAtOnce) expect(await momentOf(engine, { tag: forged })).toMatchObject({ isReached: false });
        expect(await codeOf(versionAt(engine, 'a', { tag: forged }))).toBe('history-gone');
        expect(await codeOf(engine.past.history('a', { after: forged, limit: 1 }))).toBe('history-gone');
      }
      expect(await momentOf(engine, { tag: position })).toMatchObject({ isReached: true });
      expect((await versionAt(engine, 'a', { tag: position })).entry?.etag).toBe(etag);
      for (const garbage of ['', 'x', `"${etag}"`, `${etag}0`, etag.toUpperCase() + ' '])
        expect(await engine.past.find({ tag: garbage })).toBeUndefined();
    },
  },
  {
    rule: 'what has left the log is history-gone, never guessed; what has not changed since is known',
    async run(fixture) {
      const { engine } = fixture;
      const [a, gone, filler] = [tied('a'), tied('gone'), tied('filler')];
      const stays = await put(engine, tied('stays'), 'x');
      const position = await engine.position();
      const first = await put(engine, a, '1');
      await put(engine, gone, '1');
      const early = engine.now();
      fixture.time.advance(1000);
      await engine.write({ op: 'delete', key: gone });
      await put(engine, a, '2');
      fixture.time.advance(1000);
      const large = Buffer.alloc(65_536);
      for (let i = 0; (await engine.changes(position)) !== undefined; i++) {
        if (i === 3000) throw new Error('the log drops nothing');
        await put(engine, filler, large);
      }
      const last = await put(engine, a, '3');
      for (const key of [a, gone, filler]) {
        expect(await codeOf(versionAt(engine, key, { time: early }))).toBe('history-gone');
        expect(await codeOf(versionAt(engine, key, { tag: first.etag }))).toBe('history-gone');
      }
      expect((await versionAt(engine, tied('stays'), { time: early })).entry?.etag).toBe(stays.etag);
      expect((await versionAt(engine, tied('stays'), { tag: stays.etag })).value?.toString()).toBe('x');
      const page = (await engine.past.history(a, { limit: 10 }))!;
      expect(page.changes.map(({ etag }) => etag)).toEqual([last.etag]);
      expect(page).toMatchObject({ next: undefined, isCut: true });
      const { oldestChange } = await engine.stats();
      // A namespace does not tell how long others have been writing.
      if (oldestChange !== undefined) expect(oldestChange).toBeGreaterThan(early);
      const kept = (await engine.past.history(filler, { limit: 1 }))!.changes[0]!;
      expect((await versionAt(engine, a, { tag: last.etag })).predecessor).toBeUndefined();
      expect((await versionAt(engine, gone, { tag: kept.etag })).entry).toBeUndefined();
      // What the key was between is not in the log: neither that it existed nor that it did not.
      expect(await codeOf(versionAt(engine, a, { tag: kept.etag }))).toBe('history-gone');
    },
  },
  {
    rule: 'the past survives a restart',
    needs: 'durable',
    async run(fixture) {
      const model = await randomHistory(fixture, 60, 11);
      await fixture.reopen();
      expect(await compareVersions(fixture.engine, model)).toBe(model.changes.length);
      await put(fixture.engine, model.keys[0]!, 'after');
      const [newest, ...rest] = await wholeHistory(fixture.engine, model.keys[0]!);
      expect(newest!.value!.toString()).toBe('after');
      expect(rest.map(shown)).toEqual(model.history(model.keys[0]!));
    },
  },
  {
    rule: 'since a moment each key has changed or not, whatever was done to it',
    async run(fixture) {
      const { engine, time } = fixture;
      for (const key of ['p/same', 'p/changed', 'p/deleted', 'p/again', 'q/other'])
        await put(engine, key, '1');
      await put(engine, 'p/over', '1', { expiry: { in: 5000 } });
      const position = await engine.position();
      const at = engine.now();
      time.advance(1000);
      await put(engine, 'p/changed', '2');
      await put(engine, 'p/new', '1');
      for (const key of ['p/deleted', 'p/again']) await engine.write({ op: 'delete', key });
      await put(engine, 'p/again', '2');
      await put(engine, 'q/new', '1');
      await put(engine, 'p/brief', '1', { expiry: { in: 1000 } });
      time.advance(10_000);
      for (const name of [{ tag: position }, { time: at }]) {
        const changed = new Map<string, string | undefined>();
        let unchanged = 0;
        for await (const part of engine.past.since({ prefix: 'p/' }, await momentOf(engine, name))) {
          unchanged += part.unchanged;
          for (const { key, etag } of part.changed) {
            expect(changed.has(key)).toBe(false);
            changed.set(key, etag);
          }
        }
        const tagOf = async (key: string) => (await engine.head(key))!.etag;
        // Those that have no entry, neither then nor now, may be left out.
        for (const key of ['p/over', 'p/brief']) {
          expect(changed.get(key)).toBeUndefined();
          changed.delete(key);
        }
        expect(changed).toEqual(
          new Map([
            ['p/changed', await tagOf('p/changed')],
            ['p/new', await tagOf('p/new')],
            ['p/deleted', undefined],
            ['p/again', await tagOf('p/again')],
          ]),
        );
        expect(unchanged).toBe(1);
      }
    },
  },
];
