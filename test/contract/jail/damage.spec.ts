import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { DatabaseError } from '../../../src/errors.js';
import { JailEngine } from '../../../src/storage/jail/jail.engine.js';
import type { StorageEngine } from '../../../src/storage/storage-engine.js';
import { SoundFile } from '../../support/damaged-file.js';
import { DataFile } from '../../support/data-file.js';
import { FakeTime } from '../../support/fake-time.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { lmdb } from '../engines.js';
import { codeOf, keysScanned, put, refusalOf, scanned } from '../shorthand.js';

const OURS = 'app1/';
/** Where a node has its key. */
const KEY_AT = 8;
const THEIRS = 'app1.NEIGHBOUR';

let folder: string;
let engine: StorageEngine;
let jail: JailEngine;

beforeEach(async () => {
  folder = temporaryFolder();
  engine = lmdb.make(new FakeTime().clock(), folder);
  await engine.open();
  jail = new JailEngine(engine, { namespace: OURS });
  for (const key of [THEIRS, ...['a', 'b', 'c'].map((name) => OURS + name)]) await put(engine, key, 'value');
});

afterEach(() => engine.close());

/** Damages the record of `key`, or makes its key that of somebody else. */
function damage(key: string, renamed?: string): void {
  const path = join(folder, 'data.mdb');
  const { nodeAt, valueAt } = new SoundFile(path).entries.get(key)!;
  if (renamed === undefined) new DataFile(path).flip(valueAt);
  else new DataFile(path).overwrite(nodeAt + KEY_AT, Buffer.from(renamed));
}

async function scannedLeniently(): Promise<[keys: string[], damaged: string[]]> {
  const keys: string[] = [];
  const damaged: string[] = [];
  const onDamaged = (key: string) => void damaged.push(key);
  for await (const chunk of jail.scan({ prefix: '', values: true, onDamaged }))
    keys.push(...chunk.map(({ key }) => key));
  return [keys, damaged];
}

describe('a damaged record', () => {
  it('of the namespace is named by its name inside', async () => {
    damage(`${OURS}b`);
    const error = (await Promise.resolve()
      .then(() => jail.get('b'))
      .catch((failure: unknown) => failure)) as DatabaseError;
    expect(error).toBeInstanceOf(DatabaseError);
    expect(error.code).toBe('corrupt');
    expect(error.detail).toContain('the key `b` fails its checksum');
    expect(error.context).toEqual({ keys: ['b'] });
    expect(await refusalOf(scanned(jail))).toEqual({ code: 'corrupt', keys: ['b'] });
    expect(await jail.range({ prefix: '', limit: 10 })).toMatchObject({ damaged: ['b'] });
    expect(await scannedLeniently()).toEqual([['a', 'c'], ['b']]);
  });

  it('of others is nothing to it', async () => {
    damage(THEIRS);
    expect(await codeOf(Promise.resolve(engine.range({ prefix: '', limit: 10 })).then(() => undefined))).toBe(
      'not refused',
    );
    expect(await jail.range({ prefix: '', limit: 10 })).not.toHaveProperty('damaged');
    expect(await keysScanned(jail)).toEqual(['a', 'b', 'c']);
  });

  it('whose key is damaged is missed without a name', async () => {
    damage(`${OURS}b`, 'app0/b');
    expect(await scannedLeniently()).toEqual([['a', 'c'], ['']]);
    expect(await jail.range({ prefix: '', limit: 10 })).toMatchObject({ damaged: [''] });
    expect(await refusalOf(scanned(jail))).toEqual({ code: 'corrupt', keys: [] });
  });
});
