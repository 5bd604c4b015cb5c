import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DatabaseError } from '../../../src/errors.js';
import { JailEngine } from '../../../src/storage/jail/jail.engine.js';
import type { Operation } from '../../../src/storage/operation.js';
import type { StorageEngine } from '../../../src/storage/storage-engine.js';
import { FakeTime } from '../../support/fake-time.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { lmdb, memory } from '../engines.js';
import { neighboursOf } from '../namespaces.js';
import {
  changesAfter,
  codeOf,
  countOf,
  incrOf,
  keysScanned,
  loggedAfter,
  namesOf,
  pagesOf,
  put,
  putOf,
  tagsOf,
} from '../shorthand.js';

const NAMESPACE = 'app1/';
const NEIGHBOURS = neighboursOf(NAMESPACE);
/** Keys that end up in sentences, and look like what is looked for there. */
const KEYS = ['a', '`app1/a`', 'app1/', '$&$1', '`', '/'];

let time: FakeTime;
let whole: StorageEngine;
let jail: JailEngine;
let alone: StorageEngine;

beforeEach(async () => {
  time = new FakeTime();
  whole = lmdb.make(time.clock(), temporaryFolder());
  alone = memory.make(time.clock(), '');
  await whole.open();
  await alone.open();
  jail = new JailEngine(whole, { namespace: NAMESPACE });
  for (const key of NEIGHBOURS) await put(whole, key, 'theirs');
});

afterEach(async () => {
  await whole.close();
  await alone.close();
});

async function errorOf(engine: StorageEngine, operation: Operation): Promise<DatabaseError> {
  const error: unknown = await engine.write(operation).catch((failure: unknown) => failure);
  if (error instanceof DatabaseError) return error;
  throw new Error(`${operation.op} of ${operation.key} is not refused`);
}

/** Everything that an error tells, with tags of one shape. */
function told({ code, detail, context }: DatabaseError): string {
  return JSON.stringify({ code, detail, context }).replaceAll(/[0-9a-f]{8}-[0-9a-f]{13}/g, '<tag>');
}

describe('a namespace beside neighbours', () => {
  it('leaves them as they are, whatever is done inside', async () => {
    const before = await tagsOf(whole);
    for (const key of ['', '/', '.', '0']) await put(jail, `x${key}`, 'x');
    await put(jail, 'n', '1', { expiry: { in: 1000 } });
    await jail.batch([incrOf('m', 1n), { op: 'delete', key: 'x.' }, putOf('y', 'y')], true);
    await jail.batch([incrOf('m', 1n), { op: 'delete', key: '/' }, putOf('0/', 'y')], false);
    const keys = await keysScanned(jail);
    expect(keys).toEqual(['0/', 'm', 'n', 'x', 'x/', 'x0', 'y']);
    await jail.batch(
      [...keys, ...NEIGHBOURS].map((key) => ({ op: 'delete', key })),
      false,
    );
    expect(await tagsOf(whole)).toEqual(before);
  });

  it('shows nothing of them in a range of nothing, of everything, or after any place', async () => {
    const places = [undefined, '\0', 'a', '/', '\u{10ffff}', ...NEIGHBOURS];
    for (const key of ['b', 'b/c', 'b/d']) await put(jail, key, 'x');
    for (const after of places)
      for (const reverse of [false, true])
        for (const delimiter of [undefined, '/', '1']) {
          const query = { prefix: '', after, reverse, delimiter, limit: 1 };
          for (const page of await pagesOf(jail, query))
            for (const name of [...page.items.map(({ key }) => key), ...page.groups])
              expect(['b', 'b/', 'b/c', 'b/d']).toContain(name);
        }
    for (const from of places)
      for (const to of places) {
        const expected = ['b', 'b/c', 'b/d'].filter(
          (key) => (from === undefined || key >= from) && (to === undefined || key < to),
        );
        expect(await keysScanned(jail, { prefix: '', from, to })).toEqual(expected);
        expect(await countOf(jail, { prefix: '', from, to })).toBe(expected.length);
      }
    expect((await jail.stats()).entries).toBe(3);
  });

  it('does not show the entry whose key is the namespace itself', async () => {
    const position = await whole.position();
    await put(whole, NAMESPACE, 'theirs');
    await put(jail, '\0', 'x');
    expect(await namesOf(jail)).toEqual(['\0']);
    expect(await namesOf(jail, { reverse: true })).toEqual(['\0']);
    expect(await keysScanned(jail)).toEqual(['\0']);
    expect(await countOf(jail, { prefix: '' })).toBe(1);
    expect(await loggedAfter(jail, position)).toEqual(['put \0']);
  });

  it('reads the log on over pages that have only changes of others, and ends where it ends', async () => {
    const start = await jail.position();
    const crowd = Array.from({ length: 1000 }, (_, i) => putOf(`app10/${i}`, 'x'.repeat(60)));
    const rounds = 4;
    for (let i = 0; i < rounds; i++) {
      await whole.batch(crowd, false);
      await put(jail, `k${i}`, 'x');
    }
    await whole.batch(crowd, false);
    const log = (await changesAfter(jail, start))!;
    expect(log.map(({ key }) => key)).toEqual(['k0', 'k1', 'k2', 'k3']);
    for (const [i, { position }] of log.entries())
      expect(log.map((change) => jail.covers(position, change))).toEqual(log.map((_, j) => j <= i));
    const { position } = (await jail.changes(log.at(-1)!.position))!;
    expect(position).toBe(await whole.position());
  });

  it('tells the errors of a database of its own, with the names inside', async () => {
    for (const engine of [jail, alone]) for (const key of KEYS) await put(engine, key, 'text');
    for (const key of KEYS) {
      const refused: Operation[] = [
        {
          op: 'put',
          key,
          value: Buffer.alloc(0),
          type: 'x/y',
          expiry: 'never',
          condition: { ifNoneMatch: '*' },
        },
        { op: 'check', key, condition: { ifMatch: ['0'] } },
        { op: 'delete', key: `${key}-absent`, condition: { ifMatch: '*' } },
        { op: 'touch', key: `${key}-absent`, expiry: 'never' },
        incrOf(key, 1n),
      ];
      for (const operation of refused) {
        const [inside, expected] = [await errorOf(jail, operation), await errorOf(alone, operation)];
        expect(told(inside)).toBe(told(expected));
        expect(inside.constructor).toBe(expected.constructor);
        const [first, second] = await jail.batch([operation, incrOf('n', 1n)], false);
        expect(told(first as DatabaseError)).toBe(told(expected));
        expect(second).toHaveProperty('kind');
        const whole = await jail.batch([putOf('n', '1'), operation], true).catch((error: unknown) => error);
        expect(told(whole as DatabaseError)).toBe(told(expected.with({ index: 1 })));
      }
    }
  });

  it('has no say in what concerns the whole database, and does not end it', async () => {
    for (const refused of [jail.backup(), jail.setFence(), jail.system.put('a', Buffer.alloc(0))])
      expect(await codeOf(refused)).toBe('not-supported');
    expect(jail.capabilities).toEqual({ ...whole.capabilities, backup: false });
    // Nothing else is told: it would tell of others.
    expect(JSON.parse(JSON.stringify(await jail.stats()))).toEqual({ entries: 0 });
    await jail.close();
    await put(jail, 'a', 'x');
  });

  it('may be everything: then nothing is mapped, and all is there', async () => {
    const all = new JailEngine(whole, { namespace: '' });
    await put(jail, 'a', 'x');
    expect(await namesOf(all)).toEqual(await namesOf(whole));
    expect(await all.stats()).toEqual(await whole.stats());
    expect(await loggedAfter(all, await whole.position())).toEqual([]);
  });

  it('may have another inside', async () => {
    const inner = new JailEngine(jail, { namespace: 'b/' });
    await put(inner, 'c', 'x');
    expect(await namesOf(inner)).toEqual(['c']);
    expect(await namesOf(jail)).toEqual(['b/c']);
    expect((await errorOf(inner, incrOf('c', 1n))).detail).toContain('`c`');
  });
});
