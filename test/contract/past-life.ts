import { expect, test } from '@jest/globals';
import type { AppConfig } from '../../src/config/app-config.js';
import { DatabaseError } from '../../src/errors.js';
import { DatabaseService } from '../../src/kv/database.service.js';
import { Restore, type Restored } from '../../src/kv/past/restore.js';
import { JailEngine } from '../../src/storage/jail/jail.engine.js';
import type { BatchOperation, Expiry } from '../../src/storage/operation.js';
import type { MomentName } from '../../src/storage/past.js';
import type { StorageEngine } from '../../src/storage/storage-engine.js';
import { eventually } from '../support/eventually.js';
import { FakeTime } from '../support/fake-time.js';
import { shortOrLong } from '../support/long-run.js';
import { Random } from '../support/random.js';
import { removeFolder, temporaryFolder } from '../support/temporary-folder.js';
import {
  compareVersions,
  known,
  type KnownChange,
  momentOf,
  PastModel,
  plain,
  versionAt,
} from './past-model.js';
import { changesAfter, incrOf, putOf, scanned } from './shorthand.js';

const CHANGES = shortOrLong(1500, 100_000);
const MOMENTS = shortOrLong(60, 1000);
const KEYS_AT_A_MOMENT = 20;
const KEYS = 120;
const RESTARTS = 3;
/** Of a long run: 100,000 changes and what is compared of them. */
const LIMIT_MS = shortOrLong(300_000, 3_600_000);
const TYPES = ['text/plain; charset=utf-8', 'application/json', 'x/y; z=1'];
const CONFIG = { maxValueBytes: 2 ** 24 } as AppConfig;

/** Makes an engine on the store of a life, which a restart finds again. */
export type MakeEngine = (life: Life) => StorageEngine;

/** A database, and all that was ever done to it. */
export class Life {
  readonly time = new FakeTime();
  readonly folder = temporaryFolder();
  readonly changes: KnownChange[] = [];
  engine: StorageEngine;

  private constructor(
    private readonly make: MakeEngine,
    /** The most bytes of its log. */
    readonly watchLogBytes: number,
  ) {
    this.engine = make(this);
  }

  static async begin(make: MakeEngine, watchLogBytes: number): Promise<Life> {
    const life = new Life(make, watchLogBytes);
    await life.engine.open();
    return life;
  }

  async restart(): Promise<void> {
    await this.engine.close();
    this.engine = this.make(this);
    await this.engine.open();
  }

  async end(): Promise<void> {
    await this.engine.close();
    removeFolder(this.folder);
  }

  /** Does random work until there are so many changes more. */
  async live(changes: number, random: Random): Promise<void> {
    const until = this.changes.length + changes;
    const restartEvery = Math.ceil(changes / (RESTARTS + 1));
    let position = await this.engine.position();
    for (let restartAt = this.changes.length + restartEvery; this.changes.length < until;) {
      await this.engine.batch(
        Array.from({ length: 1 + random.below(60) }, () => operationAtRandom(random)),
        false,
      );
      this.time.advance(random.below(500));
      position = await this.learn(position);
      if (this.changes.length < restartAt) continue;
      await this.restart();
      restartAt += restartEvery;
    }
    this.time.advance(10_000);
    await eventually(async () => {
      const { keys } = await this.engine.count({ prefix: '' });
      return (await this.engine.stats()).entries === keys;
    }, 'what has expired to be swept');
    await this.learn(position);
  }

  /** Takes over the changes after a position. Returns that of the last. */
  private async learn(position: string): Promise<string> {
    const changes = (await changesAfter(this.engine, position))!;
    for (const change of changes) this.changes.push(known(change));
    return changes.at(-1)?.position ?? position;
  }
}

function operationAtRandom(random: Random): BatchOperation {
  const key = `${random.pick(['p/', 'q/', 'p/a\0'])}${random.below(KEYS / 3)}`;
  const brief: Expiry = { in: 1 + random.below(5000) };
  const expiry = random.chance(0.3) ? brief : 'never';
  switch (random.below(5)) {
    case 0:
      return { op: 'delete', key };
    case 1:
      return incrOf(key, 1n, expiry);
    case 2:
      return { op: 'touch', key, expiry };
    default: {
      const size = random.chance(0.02) ? 70_000 : random.below(200);
      return putOf(key, Buffer.alloc(size, random.below(256)), { type: random.pick(TYPES), expiry });
    }
  }
}

/** Returns what is equal of a life in all its past. */
async function compareMoments(engine: StorageEngine, model: PastModel, random: Random): Promise<number> {
  const first = model.changes[0]!.time;
  const span = engine.now() - first;
  let equal = 0;
  for (let i = 0; i < MOMENTS; i++) {
    const change = random.pick(model.changes);
    const time = first + random.below(span);
    for (let k = 0; k < KEYS_AT_A_MOMENT; k++) {
      const key = random.pick(model.keys);
      const [name, expected] =
        i % 2 === 0
          ? [{ tag: change.etag }, model.atTag(key, change.etag)]
          : [{ time }, model.atTime(key, time)];
      expect(plain(await versionAt(engine, key, name))).toEqual(expected);
      equal++;
    }
  }
  return equal;
}

export function restore(engine: StorageEngine, prefix: string, name: MomentName): Promise<Restored> {
  const database = new DatabaseService(engine, CONFIG);
  return momentOf(engine, name).then((moment) =>
    new Restore(database, moment, false, () => false).run({ prefix }),
  );
}

/** What a range has, as plain data. */
export async function contents(engine: StorageEngine, prefix: string): Promise<Map<string, unknown>> {
  const entries = await scanned(engine, prefix);
  return new Map(
    entries.map(({ key, type, expires, value }) => [key, { type, expires, value: value.toString('hex') }]),
  );
}

/** What a range had at the moment of a tag, without what has run out by now and without `except`. */
function contentsThen(
  model: PastModel,
  prefix: string,
  tag: string,
  now: number,
  except: readonly string[],
): Map<string, unknown> {
  const then = new Map<string, unknown>();
  for (const key of model.keys) {
    const { entry, value } = model.atTag(key, tag);
    const isThere = entry && (entry.expires === 0 || entry.expires > now);
    if (isThere && key.startsWith(prefix) && !except.includes(key))
      then.set(key, { type: entry.type, expires: entry.expires, value });
  }
  return then;
}

function without(map: Map<string, unknown>, keys: readonly string[]): Map<string, unknown> {
  return new Map([...map].filter(([key]) => !keys.includes(key)));
}

/** Tests that the past of a random life is what it was. */
export function randomLives(make: MakeEngine): void {
  test(
    'is equal to a plain model at every version and moment, after restarts too',
    async () => {
      const life = await Life.begin(make, 2 ** 30);
      try {
        const random = new Random(21);
        await life.live(CHANGES, random);
        const model = new PastModel(life.changes);
        expect(await compareVersions(life.engine, model)).toBe(model.changes.length);
        expect(await compareMoments(life.engine, model, random)).toBe(MOMENTS * KEYS_AT_A_MOMENT);
        const jail = new JailEngine(life.engine, { namespace: 'p/' });
        const inside = life.changes
          .filter(({ key }) => key.startsWith('p/'))
          .map((change) => ({ key: change.key.slice(2), etag: change.etag }));
        for (let i = 0; i < 50; i++) {
          const { key } = random.pick(inside);
          const { etag } = random.pick(life.changes);
          const { entry, value } = await versionAt(jail, key, { tag: etag });
          const whole = model.atTag(`p/${key}`, etag);
          expect({ etag: entry?.etag, value: value?.toString('hex') }).toEqual({
            etag: whole.entry?.etag,
            value: whole.value,
          });
          expect(entry?.key).toBe(entry && key);
        }
      } finally {
        await life.end();
      }
    },
    LIMIT_MS,
  );

  test(
    'is put back to a moment as the model was then, and putting that back gives the present again',
    async () => {
      const life = await Life.begin(make, 2 ** 30);
      try {
        const random = new Random(22);
        await life.live(CHANGES / 3, random);
        const { engine } = life;
        const model = new PastModel(life.changes);
        for (const share of [0.2, 0.5, 0.9]) {
          const { etag } = life.changes[Math.floor(life.changes.length * share)]!;
          const before = await contents(engine, 'p/');
          const other = await contents(engine, 'q/');
          const position = await engine.position();
          const back = await restore(engine, 'p/', { tag: etag });
          const large = back.errors.map(({ key }) => key);
          expect(back.errors.every(({ code }) => code === 'history-gone')).toBe(true);
          const expected = contentsThen(model, 'p/', etag, engine.now(), large);
          expect(without(await contents(engine, 'p/'), large)).toEqual(expected);
          expect(await contents(engine, 'q/')).toEqual(other);
          const forth = await restore(engine, 'p/', { tag: position });
          const lost = forth.errors.map(({ key }) => key);
          expect(without(await contents(engine, 'p/'), lost)).toEqual(without(before, lost));
        }
      } finally {
        await life.end();
      }
    },
    LIMIT_MS,
  );

  test(
    'whose log is bounded is equal or gone, and never anything else',
    async () => {
      const life = await Life.begin(make, 2 ** 17);
      try {
        const random = new Random(23);
        await life.live(2 * CHANGES, random);
        const model = new PastModel(life.changes);
        let [equal, gone] = [0, 0];
        for (const key of model.keys) {
          const history = (await life.engine.past.history(key, { limit: 1000 }))!;
          const whole = model.history(key);
          expect(history.changes.map(({ etag }) => etag)).toEqual(
            whole.slice(0, history.changes.length).map(({ etag }) => etag),
          );
          expect(history.next !== undefined || history.isCut).toBe(true);
          for (const { etag } of whole) {
            try {
              const { entry, value } = await versionAt(life.engine, key, { tag: etag });
              const then = model.atTag(key, etag);
              expect(entry?.etag).toBe(then.entry?.etag);
              if (value) expect(value.toString('hex')).toBe(then.value);
              equal++;
            } catch (error) {
              if (!(error instanceof DatabaseError) || error.code !== 'history-gone') throw error;
              gone++;
            }
          }
        }
        expect(equal).toBeGreaterThan(100);
        expect(gone).toBeGreaterThan(100);
      } finally {
        await life.end();
      }
    },
    LIMIT_MS,
  );
}
