import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BackupReader } from '../../../src/storage/lmdb/backup/backup-reader.js';
import { LmdbEngine } from '../../../src/storage/lmdb/engine.js';
import { backUpTo } from '../../support/backup.js';
import { Random } from '../../support/random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { put } from '../shorthand.js';

const HEADER = 512;
const CLOSING = 88;
const random = new Random(11);

const root = temporaryFolder();
const path = join(root, 'sound.backup');
let engine: LmdbEngine;
let sound: Buffer;

beforeAll(async () => {
  const settings = { onFailure: () => undefined, maxSnapshotAge: 600_000, watchLogBytes: 2 ** 20 };
  engine = new LmdbEngine(join(root, 'data'), settings);
  await engine.open();
  for (let i = 0; i < 50; i++)
    await put(engine, `key ${i}`, `value ${i} `.repeat(i), i % 5 === 0 ? { expiry: { in: 3_600_000 } } : {});
  await put(engine, 'large', Buffer.alloc(3 * 2 ** 20, 'large'));
  await engine.system.put('token/x', Buffer.from('private'));
  await backUpTo(engine, path);
  sound = readFileSync(path);
});

afterAll(() => engine.close());

/** What is said of a file with these contents; undefined if it is sound. */
async function faultOf(bytes: Buffer): Promise<string | undefined> {
  const file = join(root, 'other.backup');
  writeFileSync(file, bytes);
  let backup: BackupReader | undefined;
  try {
    backup = BackupReader.open(file);
    await backup.verify();
    return undefined;
  } catch (error) {
    expect((error as Error).name).toBe('BackupFault');
    return (error as Error).message;
  } finally {
    backup?.close();
  }
}

it('a backup says what it has in its first line, and is sound', async () => {
  const header = JSON.parse(sound.toString('utf8', 0, HEADER)) as object;
  expect(header).toMatchObject({ pigeonhole: 'backup', entries: 51, bytes: sound.length });
  expect(header).toMatchObject({ position: engine.position() });
  expect(await faultOf(sound)).toBeUndefined();
});

it('a file that is cut anywhere is cut short', async () => {
  const lengths = [HEADER, HEADER + 1, HEADER + 7, 2000, sound.length / 2, sound.length - CLOSING];
  for (const length of [...lengths, sound.length - CLOSING + 1, sound.length - 1])
    expect(await faultOf(sound.subarray(0, length))).toMatch(/^is cut short: it has \d+ of \d+ bytes$/);
  for (const length of [0, 1, HEADER - 1])
    expect(await faultOf(sound.subarray(0, length))).toBe('is not a backup of Pigeonhole');
});

it('a file with one bit that is another is refused, wherever the bit is', async () => {
  const anywhere = Array.from({ length: 20 }, () => random.below(sound.length));
  const regions = [1, 30, 150, 400, HEADER - 1, HEADER, HEADER + 1, HEADER + 4, HEADER + 8, HEADER + 30];
  const end = [CLOSING + 1, CLOSING, 60, 2, 1].map((left) => sound.length - left);
  for (const at of [...regions, ...anywhere, ...end]) {
    const bytes = Buffer.from(sound);
    bytes[at]! ^= 1 << random.below(8);
    expect({ at, fault: await faultOf(bytes) }).toEqual({ at, fault: expect.stringMatching(/./) });
  }
});

it('a file that goes on after its end, or is something else, is refused', async () => {
  expect(await faultOf(Buffer.concat([sound, Buffer.from('x')]))).toMatch(/^has \d+ bytes, of which/);
  copyFileSync(join(root, 'data', 'data.mdb'), join(root, 'data.copy'));
  for (const other of [readFileSync(join(root, 'data.copy')), Buffer.alloc(10_000), Buffer.from('{"a":1}\n')])
    expect(await faultOf(other)).toBe('is not a backup of Pigeonhole');
});

it.each([
  ['format', '"format":1', '"format":2'],
  ['storage format', '"storeFormat":3', '"storeFormat":9'],
])('a file of a newer %s is refused with the version that made it', async (_name, present, newer) => {
  const header = sound.toString('utf8', 0, HEADER).replace(present, newer);
  expect(header).toContain(newer);
  const bytes = Buffer.concat([Buffer.from(header), sound.subarray(HEADER)]);
  expect(await faultOf(bytes)).toMatch(
    /^was made by Pigeonhole \d.* in a form that this version does not read/,
  );
});
