import { describe, expect, it } from '@jest/globals';
import { DatabaseError } from '../../src/errors.js';
import type { Condition } from '../../src/storage/condition.js';
import type { BatchOperation, Expiry, Operation } from '../../src/storage/operation.js';
import type { StorageEngine } from '../../src/storage/storage-engine.js';
import { FakeTime } from '../support/fake-time.js';
import { Random } from '../support/random.js';
import { makeTempFolder, removeFolder } from '../support/temp-folder.js';
import { lmdb, memory } from './engines.js';

/*
 * The plain engine and the real one side by side: the same random operations at the same time must be answered the
 * same. Tags differ between databases, so each is replaced by the number under which its own engine first showed it;
 * equal numbers then mean that the same entries had equal tags.
 */
const SEEDS = Array.from({ length: 20 }, (_, i) => i + 1);
const STEPS = 500;

const BATCHED: Operation['op'][] = ['put', 'put', 'put', 'incr', 'incr', 'delete', 'touch', 'get', 'check'];
const EVERY: Operation['op'][] = [...BATCHED, 'edit'];
const UNITS = ['a', 'b', 'c', '/', '\0', 'é', '\uffff', '😀'];
const TYPES = ['text/plain; charset=utf-8', 'application/json', 'x/y; z=1'];

/** One engine, with the numbers of the tags it has shown. */
class Side {
  private readonly numbers = new Map<string, number>();
  private readonly tags: string[] = [];

  constructor(readonly engine: StorageEngine) {}

  /** The tag this engine knows under `number`, or one that nobody has. */
  tag(number: number): string {
    return this.tags[number] ?? '00000000-0000000000000';
  }

  tagCount(): number {
    return this.tags.length;
  }

  /** What the engine answered, as data that both engines must agree on. */
  async answerOf(step: Step): Promise<unknown> {
    try {
      return this.plain(await step.run(this));
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      return this.plain(error);
    }
  }

  private plain(answer: unknown): unknown {
    if (Buffer.isBuffer(answer)) return answer.toString('hex');
    if (Array.isArray(answer)) return answer.map((each) => this.plain(each));
    if (answer instanceof DatabaseError) return { code: answer.code, context: this.plain(answer.context) };
    if (typeof answer !== 'object' || answer === null) return answer;
    const plain: Record<string, unknown> = {};
    // Entries may answer by getters, which Object.keys leaves out.
    for (const name of [
      'key',
      'value',
      'type',
      'size',
      'created',
      'modified',
      'expires',
      ...Object.keys(answer),
    ])
      if (name in answer) plain[name] = this.plain((answer as Record<string, unknown>)[name]);
    delete plain['record'];
    delete plain['epoch'];
    delete plain['sequence'];
    // A position means something to its own engine only.
    delete plain['position'];
    if ('etag' in answer) plain['etag'] = this.numberOf(answer.etag as string | undefined);
    return plain;
  }

  private numberOf(etag: string | undefined): number | undefined {
    if (etag === undefined) return undefined;
    if (!this.numbers.has(etag)) {
      this.numbers.set(etag, this.tags.length);
      this.tags.push(etag);
    }
    return this.numbers.get(etag);
  }
}

interface Step {
  readonly says: string;
  run(side: Side): unknown;
}

/** Makes steps from the seed. What names a tag is filled in by each side. */
class Author {
  constructor(
    private readonly random: Random,
    private readonly time: FakeTime,
  ) {}

  step(shown: number): Step {
    const roll = this.random.below(100);
    if (roll < 50) return this.write(shown);
    if (roll < 65) return this.batch(shown);
    if (roll < 85) return this.range();
    if (roll < 90) return this.scan();
    if (roll < 95) return this.reads();
    return this.pass();
  }

  private key(): string {
    return this.random.text(UNITS, 2) || 'k';
  }

  private expiry(): Expiry {
    const { random } = this;
    const at = this.time.wall + random.below(200) - 20;
    return random.pick<Expiry>(['never', 'never', 'keep', { in: 1 + random.below(100) }, { at }]);
  }

  private operation(shown: number, ops = EVERY): (side: Side) => Operation {
    const { random } = this;
    const key = this.key();
    const expiry = this.expiry();
    const condition = this.condition(shown);
    const value = random.pick([random.bytes(random.below(30)), Buffer.from(`${random.below(100) - 50}`)]);
    const by = random.pick([1n, -1n, 2n ** 62n, -(2n ** 63n), BigInt(random.below(1000))]);
    const type = random.pick(TYPES);
    const suffix = Buffer.from([random.below(256)]);
    const edit = (entry: { value: Buffer }) => {
      if (entry.value.length > 40) throw new DatabaseError('value-too-large', 'Too long.');
      return Buffer.concat([entry.value, suffix]);
    };
    const op = random.pick(ops);
    return (side) => {
      const decided = condition(side);
      switch (op) {
        case 'put':
          return { op, key, value, type, expiry, condition: decided };
        case 'incr':
          return { op, key, by, expiry, condition: decided };
        case 'touch':
          return { op, key, expiry, condition: decided };
        case 'edit':
          return { op, key, edit, condition: decided };
        case 'check':
          return { op, key, condition: decided ?? { ifMatch: '*' } };
        default:
          return { op: op as 'get' | 'delete', key, condition: decided };
      }
    };
  }

  private condition(shown: number): (side: Side) => Condition | undefined {
    const { random } = this;
    const numbers = Array.from({ length: 3 }, () => Math.max(0, shown - random.below(20)));
    const date = this.time.wall + random.below(4000) - 2000;
    const kind = random.below(16);
    return (side) => {
      const tags = numbers.map((number) => side.tag(number));
      const all: (Condition | undefined)[] = [
        { ifMatch: '*' as const },
        { ifMatch: tags },
        { ifNoneMatch: '*' as const },
        { ifNoneMatch: tags },
        { ifUnmodifiedSince: date },
        { ifModifiedSince: date },
        { ifMatch: tags, ifUnmodifiedSince: date },
      ];
      return all[kind];
    };
  }

  private write(shown: number): Step {
    const operation = this.operation(shown);
    return { says: 'write', run: (side) => side.engine.write(operation(side)) };
  }

  private batch(shown: number): Step {
    const operations = Array.from({ length: this.random.below(8) }, () => this.operation(shown, BATCHED));
    const atomic = this.random.chance(0.5);
    return {
      says: `batch of ${operations.length}, atomic ${atomic}`,
      run: (side) =>
        side.engine.batch(
          operations.map((operation) => operation(side) as BatchOperation),
          atomic,
        ),
    };
  }

  private range(): Step {
    const { random } = this;
    const query = {
      prefix: random.chance(0.5) ? '' : random.text(UNITS, 2),
      after: random.chance(0.5) ? undefined : random.text(UNITS, 3) || 'b',
      limit: 1 + random.below(12),
      delimiter: random.chance(0.5) ? undefined : random.pick(['/', 'a', '\0', '😀']),
      reverse: random.chance(0.5),
      maxBytes: random.chance(0.5) ? undefined : random.below(60),
      values: true,
    };
    return {
      says: `range ${JSON.stringify(query)}`,
      run: async (side) => {
        // Positions depend on when each engine sweeps.
        const { items, groups, next } = await side.engine.range(query);
        return { items, groups, next };
      },
    };
  }

  private scan(): Step {
    const range = { prefix: this.random.text(UNITS, 1), values: this.random.chance(0.5) };
    return {
      says: `scan ${JSON.stringify(range)}`,
      run: async (side) => {
        const entries: unknown[] = [];
        for await (const chunk of side.engine.scan(range)) entries.push(...chunk);
        return entries;
      },
    };
  }

  private reads(): Step {
    const key = this.key();
    return {
      says: `get and count ${JSON.stringify(key)}`,
      run: async ({ engine }) => [
        await engine.get(key),
        await engine.count(key),
        await engine.count(''),
        (await engine.stats()).entries,
        engine.now(),
      ],
    };
  }

  private pass(): Step {
    const { time, random } = this;
    if (random.chance(0.2)) time.setWall(time.wall + random.below(100) - 80);
    time.advance(random.below(60));
    return { says: 'time passes', run: ({ engine }) => engine.now() };
  }
}

/** Everything that was put and deleted, in order; when what has expired is swept depends on the engine. */
async function wholeLog(engine: StorageEngine, start: string): Promise<unknown[]> {
  const log: unknown[] = [];
  for (let position = start; ;) {
    const changes = (await engine.changes(position))!;
    if (changes.length === 0) return log;
    position = changes.at(-1)!.position;
    for (const { kind, key, value, entry } of changes) {
      if (kind !== 'expire') log.push({ kind, key, value, type: entry?.type, expires: entry?.expires });
    }
  }
}

describe('memory and lmdb, side by side:', () => {
  it.each(SEEDS)(`${STEPS} random operations are answered the same (seed %i)`, async (seed) => {
    const folder = makeTempFolder();
    const time = new FakeTime();
    const sides = [memory, lmdb].map((factory) => new Side(factory.make(time.clock(), folder)));
    const [plain, real] = sides as [Side, Side];
    const author = new Author(new Random(seed), time);
    try {
      for (const { engine } of sides) await engine.open();
      const starts = await Promise.all(sides.map(async ({ engine }) => engine.position()));
      for (let i = 0; i < STEPS; i++) {
        const step = author.step(plain.tagCount());
        const where = `seed ${seed}, step ${i}: ${step.says}`;
        const [expected, actual] = await Promise.all([plain.answerOf(step), real.answerOf(step)]);
        expect({ where, answer: actual }).toEqual({ where, answer: expected });
      }
      const logs = await Promise.all(sides.map(({ engine }, i) => wholeLog(engine, starts[i]!)));
      expect(logs[1]).toEqual(logs[0]);
      expect(logs[0]!.length).toBeGreaterThan(0);
    } finally {
      for (const { engine } of sides) await engine.close();
      removeFolder(folder);
    }
  });
});
