import { beforeAll, describe, expect, it } from '@jest/globals';
import { DatabaseError } from '../../src/errors.js';
import type { Condition } from '../../src/storage/condition.js';
import { compareKeys, type KeyRange } from '../../src/storage/key-range.js';
import type { Expiry, Operation } from '../../src/storage/operation.js';
import type { StorageEngine } from '../../src/storage/storage-engine.js';
import { FakeTime } from '../support/fake-time.js';
import { Random } from '../support/random.js';
import { startCluster, type RedisCluster } from '../support/redis-cluster.js';
import type { RedisServer } from '../support/redis-server.js';
import { describeOnRedis, startRedis } from '../support/redis.js';
import { describeWhere } from '../support/requires.js';
import { canSetServerTime, ServerTime, WHY_NOT } from '../support/server-time.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { lmdb, memory, redisAt } from './engines.js';
import { namespaceIn } from './namespaces.js';
import type { EngineFactory } from './rule.js';
import { countOf, tied } from './shorthand.js';

/*
 * Runs the same random operations on the memory engine and on another one; their results must be equal. Tags differ
 * between databases, so each is replaced by a number, in the order in which its engine first returned them. Equal numbers
 * then mean that the same entries had equal tags.
 */
const STEPS = 500;

const OPS: Operation['op'][] = ['put', 'put', 'put', 'incr', 'incr', 'delete', 'touch', 'get', 'check'];
const UNITS = ['a', 'b', 'c', '/', '\0', 'é', '\uffff', '😀'];
const TYPES = ['text/plain; charset=utf-8', 'application/json', 'x/y; z=1'];

/** One engine, with the numbers of the tags it has returned. */
class Side {
  private readonly numbers = new Map<string, number>();
  private readonly tags: string[] = [];

  constructor(readonly engine: StorageEngine) {}

  /** Returns the tag of this engine with `number`, or one that no entry has. */
  tag(number: number): string {
    return this.tags[number] ?? '00000000-0000000000000';
  }

  tagCount(): number {
    return this.tags.length;
  }

  /** Runs a step. Returns its result or error as data that must be equal for both engines. */
  async resultOf(step: Step): Promise<unknown> {
    try {
      return this.plain(await step.run(this));
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      return this.plain(error);
    }
  }

  private plain(result: unknown): unknown {
    if (Buffer.isBuffer(result)) return result.toString('hex');
    if (Array.isArray(result)) return result.map((each) => this.plain(each));
    if (result instanceof DatabaseError) return { code: result.code, context: this.plain(result.context) };
    if (typeof result !== 'object' || result === null) return result;
    const plain: Record<string, unknown> = {};
    // Entries may have getters, which Object.keys leaves out.
    for (const name of [
      'key',
      'value',
      'type',
      'size',
      'created',
      'modified',
      'expires',
      ...Object.keys(result),
    ])
      if (name in result) plain[name] = this.plain((result as Record<string, unknown>)[name]);
    delete plain['record'];
    delete plain['renamed'];
    delete plain['epoch'];
    delete plain['sequence'];
    // Only its own engine understands a position.
    delete plain['position'];
    if ('etag' in result) plain['etag'] = this.numberOf(result.etag as string | undefined);
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
  readonly name: string;
  run(side: Side): unknown;
}

/** Generates random steps. Each side fills in its own tags. */
class StepGenerator {
  constructor(
    private readonly random: Random,
    private readonly time: FakeTime,
    /** Whether atomic batches may name any keys, or only keys that share a `{tag}`. */
    private readonly acrossKeys: boolean,
    private readonly clockJumps: boolean,
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

  private key(isTied = this.random.chance(0.3)): string {
    const key = this.random.text(UNITS, 2) || 'k';
    return isTied ? tied(key) : key;
  }

  private expiry(): Expiry {
    const { random } = this;
    const at = this.time.wall + random.below(200) - 20;
    return random.pick<Expiry>(['never', 'never', 'keep', { in: 1 + random.below(100) }, { at }]);
  }

  private operation(shown: number, key = this.key()): (side: Side) => Operation {
    const action = this.action(shown, key);
    const by = this.random.pick([undefined, 'aNnAnNaNn001', 'bObBoBbObB02']);
    return (side) => ({ ...action(side), by });
  }

  private action(shown: number, key: string): (side: Side) => Operation {
    const { random } = this;
    const expiry = this.expiry();
    const condition = this.condition(shown);
    const value = random.pick([random.bytes(random.below(30)), Buffer.from(`${random.below(100) - 50}`)]);
    const amount = random.pick([1n, -1n, 2n ** 62n, -(2n ** 63n), BigInt(random.below(1000))]);
    const type = random.pick(TYPES);
    const op = random.pick(OPS);
    return (side) => {
      const decided = condition(side);
      switch (op) {
        case 'put':
          return { op, key, value, type, expiry, condition: decided };
        case 'incr':
          return { op, key, amount, expiry, condition: decided };
        case 'touch':
          return { op, key, expiry, condition: decided };
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
    return { name: 'write', run: (side) => side.engine.write(operation(side)) };
  }

  private batch(shown: number): Step {
    const atomic = this.random.chance(0.5);
    const isTied = atomic && !(this.acrossKeys && this.random.chance(0.7));
    const operations = Array.from({ length: this.random.below(8) }, () =>
      this.operation(shown, isTied ? this.key(true) : undefined),
    );
    return {
      name: `batch of ${operations.length}, atomic ${atomic}`,
      run: (side) =>
        side.engine.batch(
          operations.map((operation) => operation(side)),
          atomic,
        ),
    };
  }

  private keys(): KeyRange {
    const { random } = this;
    const bound = () => (random.chance(0.7) ? undefined : random.text(UNITS, 2) || 'b');
    return { prefix: random.chance(0.5) ? '' : random.text(UNITS, 2), from: bound(), to: bound() };
  }

  private range(): Step {
    const { random } = this;
    const query = {
      ...this.keys(),
      after: random.chance(0.5) ? undefined : random.text(UNITS, 3) || 'b',
      limit: 1 + random.below(12),
      delimiter: random.chance(0.5) ? undefined : random.pick(['/', 'a', '\0', '😀']),
      reverse: random.chance(0.5),
      maxBytes: random.chance(0.5) ? undefined : random.below(60),
      values: true,
    };
    return {
      name: `range ${JSON.stringify(query)}`,
      run: async (side) => {
        // Positions depend on when each engine sweeps.
        const { items, groups, next } = await side.engine.range(query);
        return { items, groups, next };
      },
    };
  }

  private scan(): Step {
    const range = { ...this.keys(), values: this.random.chance(0.5) };
    return {
      name: `scan ${JSON.stringify(range)}`,
      run: async (side) => {
        const entries: unknown[] = [];
        for await (const chunk of side.engine.scan(range)) entries.push(...chunk);
        return entries;
      },
    };
  }

  private reads(): Step {
    const key = this.key();
    const range = this.keys();
    return {
      name: `get ${JSON.stringify(key)} and count ${JSON.stringify(range)}`,
      run: async ({ engine }) => [
        await engine.get(key),
        await countOf(engine, range),
        await countOf(engine, { prefix: key }),
        await countOf(engine, { prefix: '' }),
        engine.now(),
      ],
    };
  }

  private pass(): Step {
    const { time, random } = this;
    if (this.clockJumps && random.chance(0.2)) time.setWall(time.wall + random.below(100) - 80);
    time.advance(random.below(60));
    return { name: 'time passes', run: ({ engine }) => engine.now() };
  }
}

interface Logged {
  readonly key: string;
}

const byKey = (a: Logged, b: Logged) => compareKeys(a.key, b.key);

/** Returns all puts and deletes in order. Expiries are left out: when they are logged depends on the engine. */
async function wholeLog(engine: StorageEngine, start: string): Promise<Logged[]> {
  const log: Logged[] = [];
  for (let position = start; ;) {
    const page = (await engine.changes(position))!;
    if (page.changes.length === 0) return log;
    position = page.position;
    for (const { kind, key, value, entry, by } of page.changes) {
      const change = { kind, key, value, type: entry?.type, expires: entry?.expires, by };
      if (kind !== 'expire') log.push(change);
    }
  }
}

function compareWithMemory(name: string, factory: EngineFactory, seeds: number): void {
  const all = Array.from({ length: seeds }, (_, i) => i + 1);
  describe(`memory and ${name}:`, () => {
    it.each(all)(`${STEPS} random operations have the same results (seed %i)`, async (seed) => {
      const folder = temporaryFolder();
      const time = new FakeTime();
      factory.follow?.(time);
      const sides = [memory, factory].map((each) => new Side(each.make(time.clock(), folder)));
      const [model, real] = sides as [Side, Side];
      const { atomicAcrossKeys } = real.engine.capabilities;
      // A clock that is a server's is asked only once a second.
      const clockJumps = !factory.follow;
      const generator = new StepGenerator(new Random(seed), time, atomicAcrossKeys, clockJumps);
      await factory.clean?.();
      try {
        for (const { engine } of sides) await engine.open();
        const starts = await Promise.all(sides.map(async ({ engine }) => engine.position()));
        for (let i = 0; i < STEPS; i++) {
          const step = generator.step(model.tagCount());
          const where = `seed ${seed}, step ${i}: ${step.name}`;
          const [expected, actual] = await Promise.all([model.resultOf(step), real.resultOf(step)]);
          expect({ where, result: actual }).toEqual({ where, result: expected });
        }
        const logs = await Promise.all(sides.map(({ engine }, i) => wholeLog(engine, starts[i]!)));
        // Without one order of all changes, those of each key have one.
        if (!real.engine.capabilities.totalOrder) for (const log of logs) log.sort(byKey);
        expect(logs[1]).toEqual(logs[0]);
        expect(logs[0]!.length).toBeGreaterThan(0);
      } finally {
        for (const { engine } of sides) await engine.close();
      }
    });
  });
}

compareWithMemory('lmdb', lmdb, 20);
compareWithMemory('a namespace in lmdb', namespaceIn(lmdb), 3);

describeOnRedis(
  'random operations',
  (binary) => {
    const time = new ServerTime();
    let server: RedisServer;
    let cluster: RedisCluster;

    beforeAll(async () => {
      server = await startRedis({ binary, time });
      cluster = await startCluster({ binary, replicas: 0, time });
    });

    compareWithMemory(
      'redis',
      redisAt(false, time, () => server),
      6,
    );
    compareWithMemory(
      'redis+cluster',
      redisAt(true, time, () => cluster),
      4,
    );
    compareWithMemory('a namespace in redis+cluster', namespaceIn(redisAt(true, time, () => cluster)), 1);
  },
  describeWhere(canSetServerTime, WHY_NOT),
);
