import { afterEach, beforeAll, beforeEach, describe, expect, it, test } from '@jest/globals';
import { DatabaseError } from '../../../src/errors.js';
import type { BatchOperation, Outcome } from '../../../src/storage/operation.js';
import type { Command } from '../../../src/storage/redis/cluster-client/cluster-client.js';
import type { RedisEngine } from '../../../src/storage/redis/engine.js';
import { eventually } from '../../support/eventually.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { redisEngine } from '../engines.js';
import { codeOf, incrOf, kindOf, pause, put, putOf, textOf, tied } from '../shorthand.js';

interface Scenario {
  readonly name: string;
  readonly before?: readonly BatchOperation[];
  /** What is sent, and whose answer is lost. */
  readonly write: readonly BatchOperation[];
  /** Whether it is all or nothing. */
  readonly atomic?: boolean;
  /** What somebody else writes then. */
  readonly others: readonly BatchOperation[];
  /** Kinds, and values where an outcome has one, of the write. */
  readonly outcomes: readonly string[];
  /** Keys and values at the end. */
  readonly end: Readonly<Record<string, string | undefined>>;
}

const remove = (key: string): BatchOperation => ({ op: 'delete', key });
const ifAbsent = { ifNoneMatch: '*' } as const;
const ifThere = { ifMatch: '*' } as const;
const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map(tied) as [string, string, string, string, string];
const LARGE = 'v'.repeat(70_000);

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'a DELETE does not delete what somebody has created since',
    before: [putOf(a, 'lock')],
    write: [remove(a)],
    others: [putOf(a, 'theirs', { condition: ifAbsent })],
    outcomes: ['deleted'],
    end: { [a]: 'theirs' },
  },
  {
    name: 'a conditional DELETE, too',
    before: [putOf(a, 'lock')],
    write: [{ op: 'delete', key: a, condition: ifThere }],
    others: [putOf(a, 'theirs', { condition: ifAbsent })],
    outcomes: ['deleted'],
    end: { [a]: 'theirs' },
  },
  {
    name: 'a PUT does not overwrite what somebody has put since',
    write: [putOf(a, 'mine')],
    others: [putOf(a, 'theirs', { condition: ifThere })],
    outcomes: ['created mine'],
    end: { [a]: 'theirs' },
  },
  {
    name: 'a PUT of an existing key was an update, whatever happens later',
    before: [putOf(a, 'old')],
    write: [putOf(a, 'mine')],
    others: [remove(a)],
    outcomes: ['updated mine'],
    end: { [a]: undefined },
  },
  {
    name: 'a create-only PUT was a creation, and does not create again',
    write: [putOf(a, 'mine', { condition: ifAbsent })],
    others: [remove(a)],
    outcomes: ['created mine'],
    end: { [a]: undefined },
  },
  {
    name: 'an increment counts once',
    before: [putOf(a, '10')],
    write: [incrOf(a, 5n)],
    others: [incrOf(a, 1n), incrOf(a, 1n)],
    outcomes: ['updated 15'],
    end: { [a]: '17' },
  },
  {
    name: 'a touch has its own value',
    before: [putOf(a, 'old')],
    write: [{ op: 'touch', key: a, expiry: { in: 60_000 } }],
    others: [putOf(a, 'theirs')],
    outcomes: ['updated old'],
    end: { [a]: 'theirs' },
  },
  {
    name: 'a touch of a large value that nobody has changed has it too',
    before: [putOf(a, LARGE)],
    write: [{ op: 'touch', key: a, expiry: { in: 60_000 } }],
    others: [putOf(b, 'theirs')],
    outcomes: [`updated ${LARGE}`],
    end: { [a]: LARGE },
  },
  {
    name: 'an atomic batch is applied once, and has its own outcomes',
    before: [putOf(a, 'old'), putOf(b, '1'), putOf(c, 'old'), putOf(d, 'kept')],
    write: [
      putOf(a, 'mine'),
      incrOf(b, 1n),
      remove(c),
      { op: 'get', key: a },
      { op: 'get', key: d },
      { op: 'get', key: e },
      { op: 'check', key: d, condition: ifThere },
      remove(e),
      incrOf(b, 1n),
    ],
    atomic: true,
    others: [putOf(a, 'theirs'), incrOf(b, 100n), putOf(c, 'theirs'), putOf(e, 'theirs')],
    outcomes: [
      'updated mine',
      'updated 2',
      'deleted',
      'found mine',
      'found kept',
      'absent',
      'checked',
    ].concat(['absent', 'updated 3']),
    end: { [a]: 'theirs', [b]: '103', [c]: 'theirs', [d]: 'kept', [e]: 'theirs' },
  },
  {
    name: 'each operation of a pipeline is applied once, and has its own outcome',
    before: [putOf(b, 'text')],
    write: [
      putOf(a, 'mine'),
      incrOf(b, 1n),
      putOf(b, 'mine', { condition: ifAbsent }),
      incrOf(c, 1n),
      { op: 'touch', key: d, expiry: 'never' },
    ],
    others: [remove(a), putOf(b, 'theirs'), incrOf(c, 1n), putOf(d, 'theirs')],
    outcomes: ['created mine', 'not-an-integer', 'precondition-failed', 'created 1', 'missing-key'],
    end: { [a]: undefined, [b]: 'theirs', [c]: '2', [d]: 'theirs' },
  },
];

describeOnRedis('a write whose answer is lost', (binary) => {
  let redis: RedisServer;
  let proxy: TcpProxy;
  let engine: RedisEngine;
  let other: RedisEngine;

  beforeAll(async () => {
    redis = await startRedis({ binary });
    proxy = await startTcpProxy(redis.port);
  });
  beforeEach(async () => {
    await redis.flush();
    [engine, other] = [await open(`redis://127.0.0.1:${proxy.port}`), await open(redis.url)];
  });
  afterEach(async () => {
    proxy.restore();
    await Promise.all([engine.close(), other.close()]);
  });

  async function open(url: string, watchLogBytes = 2 ** 20): Promise<RedisEngine> {
    const opened = redisEngine(url, { watchLogBytes });
    await opened.open();
    return opened;
  }

  function send(operations: readonly BatchOperation[], atomic: boolean) {
    return operations.length === 1
      ? engine.write(operations[0]!).then((outcome) => [outcome])
      : engine.batch(operations, atomic);
  }

  /** Sends a write, lets somebody else write once it is applied, and only then lets an answer through. */
  async function whileAnswersAreLost<T>(
    write: () => Promise<T>,
    meanwhile: () => Promise<unknown>,
  ): Promise<T> {
    const start = await other.position();
    proxy.cutAfter(0, 'answer');
    const written = write();
    written.catch(() => undefined);
    await eventually(async () => (await other.position()) !== start, 'the write');
    await meanwhile();
    await pause(50);
    proxy.restore();
    return written;
  }

  const described = (outcome: Outcome | DatabaseError) =>
    'entry' in outcome ? `${outcome.kind} ${outcome.entry.value.toString()}` : kindOf(outcome);

  it.each(SCENARIOS)('$name', async ({ before = [], write, atomic = false, others, outcomes, end }) => {
    await other.batch(before, false);
    const made = await whileAnswersAreLost(
      () => send(write, atomic),
      () => other.batch(others, false),
    );
    expect(made.map(described)).toEqual(outcomes);
    const values = Object.keys(end).map(async (key) => [key, await textOf(other, key)]);
    expect(Object.fromEntries(await Promise.all(values))).toEqual(end);
  });

  test('of a large value that is gone since is unknown, and is not repeated', async () => {
    await put(other, 'a', LARGE);
    const touched = whileAnswersAreLost(
      () => engine.write({ op: 'touch', key: 'a', expiry: { in: 60_000 } }),
      () => put(other, 'a', 'theirs'),
    );
    expect(await codeOf(touched)).toBe('outcome-unknown');
    expect(await textOf(other, 'a')).toBe('theirs');
  });

  test('is unknown, and is not repeated, when the log has moved on too far', async () => {
    const small = await open(redis.url, 4096);
    const written = whileAnswersAreLost(
      () => put(engine, 'a', 'mine'),
      async () => {
        for (let i = 0; i < 40; i++) await put(small, 'b', Buffer.alloc(500));
        await put(small, 'a', 'theirs');
      },
    );
    expect(await codeOf(written)).toBe('outcome-unknown');
    expect(await textOf(other, 'a')).toBe('theirs');
    await small.close();
  });

  test('is not applied any more once it is unknown: a server that stood still wakes up', async () => {
    await put(engine, 'kept', 'x');
    redis.pause();
    const writes = [put(engine, 'a', 'x'), engine.write(remove('kept')), engine.write(incrOf('n', 1n))];
    writes.push(engine.batch([putOf('b', 'x'), incrOf('n', 1n)], false) as never);
    const codes = await Promise.all(writes.map((write) => codeOf(write)));
    expect(new Set(codes)).toEqual(new Set(['outcome-unknown']));
    redis.resume();
    await eventually(async () => (await other.get('kept')) !== undefined, 'the server to be back');
    await pause(200);
    expect((await other.range({ prefix: '', limit: 10 })).items.map(({ key }) => key)).toEqual(['kept']);
  });

  describe('and whose tries arrive in another order', () => {
    /** The command that a put of `a` sends, as it is sent for its try `number`. */
    async function tryOf(number: number, commands: Command[]) {
      const [{ args, triesAt }] = commands as [Required<Command>];
      const own = [...args];
      own[triesAt] = String(Date.now() + 5_000);
      own[triesAt + 1] = String(number);
      const connection = engine['store'].client.topology.ownerOf(0)!;
      return connection.send(own).then(
        () => 'done',
        (error: Error) => error.message.split(' ')[0],
      );
    }

    async function commandsOf(write: () => Promise<unknown>): Promise<Command[]> {
      const { client } = engine['store'];
      const run = client.run.bind(client);
      const commands: Command[] = [];
      client.run = (command) => {
        commands.push(command);
        return Promise.reject(new DatabaseError('unavailable', 'Not sent.'));
      };
      await write().catch(() => undefined);
      client.run = run;
      return commands;
    }

    it.each([
      { order: [1, 2], said: ['done', 'done'] },
      { order: [2, 1], said: ['done', 'OVERTAKEN'] },
      { order: [3, 2, 1, 4], said: ['done', 'OVERTAKEN', 'OVERTAKEN', 'done'] },
      { order: [2, 2], said: ['done', 'OVERTAKEN'] },
    ])('in the order $order is applied once', async ({ order, said }) => {
      await put(engine, 'n', '1');
      const commands = await commandsOf(() => engine.write(incrOf('n', 1n)));
      const results: unknown[] = [];
      for (const number of order) results.push(await tryOf(number, commands));
      expect(results).toEqual(said);
      expect(await textOf(other, 'n')).toBe('2');
    });

    it('is not applied after the deadline', async () => {
      const commands = await commandsOf(() => engine.write(incrOf('n', 1n)));
      const [{ args, triesAt }] = commands as [Required<Command>];
      const late = [...args];
      late[triesAt] = String(Date.now() - 1);
      late[triesAt + 1] = '1';
      const connection = engine['store'].client.topology.ownerOf(0)!;
      await expect(connection.send(late)).rejects.toThrow(/^LATE [0-9]+$/);
      expect(await textOf(other, 'n')).toBeUndefined();
    });
  });
});
