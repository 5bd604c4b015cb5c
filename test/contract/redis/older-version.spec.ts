import { afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TEXT, type Entry } from '../../../src/storage/entry.js';
import type { RedisEngine } from '../../../src/storage/redis/engine.js';
import type { Change } from '../../../src/storage/storage-engine.js';
import { eventually } from '../../support/eventually.js';
import type { RedisServer } from '../../support/redis-server.js';
import { cli } from '../../support/redis-cli.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { redisEngine } from '../engines.js';
import { wholeHistory } from '../past-model.js';
import { changesAfter, entryOf, incrOf, put, putOf, textOf } from '../shorthand.js';

/** What an earlier version has stored (make.mjs), and the commands that store the same. */
interface Contents {
  readonly start: string;
  readonly last: string;
  readonly changes: readonly (Pick<Change, 'position' | 'kind' | 'key' | 'etag'> & {
    readonly modified?: number;
    readonly value?: string;
  })[];
  readonly commands: readonly (readonly string[])[];
}

const FIXTURE = join(import.meta.dirname, '..', '..', 'fixtures', 'redis-before-who-and-when');
const contents = JSON.parse(readFileSync(join(FIXTURE, 'contents.json'), 'utf8')) as Contents;
const ANN = 'aNnAnNaNn001';

describeOnRedis('a database that an earlier version has filled, or still writes to', (binary) => {
  let redis: RedisServer;
  let engine: RedisEngine;

  beforeAll(async () => {
    redis = await startRedis({ binary });
  });
  beforeEach(async () => {
    await redis.flush();
    for (const command of contents.commands) await cli(redis.port, ...command);
    engine = redisEngine(redis.url);
    await engine.open();
  });
  afterEach(() => engine.close());

  /** The fields of the lines of the log. */
  async function lines(): Promise<string[][]> {
    const store = engine['store'];
    const [partition] = store.partitions.all;
    const reply = (await store.read(partition!, 'XRANGE', partition!.log, '-', '+')) as [Buffer, Buffer[]][];
    return reply.map(([, fields]) => fields.map(String));
  }

  it('has a history that ends with the last change that it made of a key, for it does not say what that replaced', async () => {
    const [mine, ...others] = (await wholeHistory(engine, 'c')).map(({ etag }) => etag);
    expect([mine, others]).toEqual([(await engine.head('c'))!.etag, []]);
    await put(engine, 'c', 'new');
    await engine.write({ op: 'delete', key: 'c' });
    const page = (await engine.past.history('c', { limit: 10 }))!;
    expect(page.changes.map(({ kind, value }) => value?.toString() ?? kind)).toEqual(['delete', 'new', '1']);
    expect(page.isCut).toBe(true);
  });

  it('has its entries, and its log for whoever comes back with an id: with times, and without who', async () => {
    expect([await textOf(engine, 'c'), await textOf(engine, 'd')]).toEqual(['1', '2']);
    const changes = (await changesAfter(engine, contents.start))!;
    expect(
      changes.map(({ position, kind, key, etag, entry, value }) => ({
        position,
        kind,
        key,
        etag,
        ...(entry && { modified: entry.modified, value: value!.toString() }),
      })),
    ).toEqual(contents.changes);
    expect(changes.map(({ time }) => time)).toEqual(
      // A removal that does not say when it was made has the time of the change before it.
      contents.changes.map(({ modified }, i) => modified ?? contents.changes[i - 1]!.modified),
    );
    expect(changes.filter(({ by }) => by !== undefined)).toEqual([]);
  });

  it('goes on from its tags, with who and when', async () => {
    const counted = entryOf(await engine.write({ ...incrOf('d', 1n), by: ANN }));
    await engine.write({ op: 'delete', key: 'c', by: ANN });
    const news = (await changesAfter(engine, contents.last))!;
    expect(news.map(({ kind, key, by }) => [kind, key, by])).toEqual([
      ['put', 'd', ANN],
      ['delete', 'c', ANN],
    ]);
    expect(counted.etag.slice(0, 22) > contents.changes.at(-1)!.etag.slice(0, 22)).toBe(true);
    expect(await textOf(engine, 'd')).toBe('3');
  });

  it('is written so that earlier versions read it by the places of the fields', async () => {
    const known = (await lines()).length;
    const made = await put(engine, 'new', 'text', { expiry: { in: 3_600_000 } });
    const large = entryOf(await engine.write({ ...putOf('new', Buffer.alloc(100_000)), by: ANN }));
    await engine.batch([{ op: 'delete', key: 'new', by: ANN }, putOf('x', '1')], false);
    const header = ({ etag, created, modified, expires }: typeof made) =>
      `${etag} ${created} ${modified} ${expires} ${TEXT}`;
    const [first, second, third, fourth] = (await lines()).slice(known).map((fields) => fields.slice(0, 8));
    expect(first).toEqual(['c', 'created', 'k', 'new', 'h', header(made), 'v', 'text']);
    expect(second).toEqual(['c', 'updated', 'k', 'new', 'h', header(large), 's', '100000']);
    expect(third!.slice(0, 5)).toEqual(['c', 'delete', 'k', 'new', 'e']);
    expect(fourth!.slice(0, 5)).toEqual(['c', 'created', 'k', 'x', 'h']);
  });

  it('leads from each change to the put of what it replaced or removed', async () => {
    const first = await put(engine, 'new', '1');
    const second = await put(engine, 'new', '2', { expiry: { in: 1 } });
    await engine.write({ ...putOf('d', '1'), by: ANN });
    await engine.write({ op: 'delete', key: 'd' });
    const links = async (key: string) =>
      (await lines()).filter((fields) => fields[3] === key).map((fields) => fields[fields.indexOf('w') + 1]);
    await eventually(async () => (await links('new')).length === 3, 'the expiry');
    const sequenceIn = ({ etag }: Entry) => etag.slice(9, 22).replace(/^0+/, '');
    expect(await links('new')).toEqual(['0', sequenceIn(first), sequenceIn(second)]);
    expect((await links('d')).slice(1)).toEqual([`8 ${ANN}`, expect.stringMatching(/^[0-9a-f]+$/)]);
  });
});
