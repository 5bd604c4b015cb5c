import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { StartError } from '../../../src/errors.js';
import { lockFolder, type FolderLock } from '../../../src/storage/lmdb/folder-lock.js';
import { runOnBuild } from '../../support/built.js';
import { FakeTime } from '../../support/fake-time.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { lmdb } from '../engines.js';

const IN_USE =
  /^DATABASE_URL: the folder \S+ is in use by process \d+\b.* since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\. .*\.$/;

let folder: string;
const held: FolderLock[] = [];

beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => held.splice(0).forEach((lock) => lock.release()));

async function lock(path = folder): Promise<FolderLock> {
  const taken = await lockFolder(path);
  held.push(taken);
  return taken;
}

/** The text of a module that locks the folder, or says why it cannot, and then runs `then`. */
function lockScript(then: string): string {
  const built = join(process.cwd(), 'dist', 'storage', 'lmdb', 'folder-lock.js');
  return `
    const { lockFolder } = await import(${JSON.stringify(pathToFileURL(built).href)});
    await lockFolder(${JSON.stringify(folder)}).catch(({ message }) => console.log(message));
    ${then}`;
}

describe('the lock of a folder', () => {
  it('is refused, in one line that says who has it and since when, until it is released', async () => {
    const first = await lock();
    await expect(lock()).rejects.toThrow(IN_USE);
    await expect(lock()).rejects.toThrow(StartError);
    first.release();
    (await lock()).release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is taken by exactly one of those that start at the same time', async () => {
    for (let round = 0; round < 10; round++) {
      const tries = await Promise.allSettled(Array.from({ length: 6 }, () => lock()));
      const refusals = tries.flatMap((each) => (each.status === 'rejected' ? [String(each.reason)] : []));
      expect(refusals).toHaveLength(5);
      expect(refusals.filter((line) => !line.includes('is in use by process'))).toEqual([]);
      held.splice(0).forEach((each) => each.release());
    }
  });

  it('is free as soon as the process that had it is killed, and what that has left over goes', async () => {
    const killed = await runOnBuild(lockScript(`process.kill(process.pid, 'SIGKILL');`));
    expect(killed).toMatchObject({ signal: 'SIGKILL', stdout: '' });
    const leftOver = readdirSync(folder);
    expect(leftOver).toHaveLength(1);
    await lock();
    expect(existsSync(join(folder, leftOver[0]!))).toBe(false);
  });

  it('is held by a process that is too busy to say so', async () => {
    await lock();
    // This process does nothing else until the child has ended.
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', lockScript('')]);
    expect(stdout.toString()).toContain(`is in use by process ${process.pid} on `);
  });

  it('works in a folder whose path is longer than the address of a socket may be', async () => {
    const deep = join(folder, 'd'.repeat(120), 'd'.repeat(120));
    await lock(deep);
    await expect(lock(deep)).rejects.toThrow(IN_USE);
  });

  it('is not put into a folder of something else', async () => {
    writeFileSync(join(folder, 'letter.txt'), 'dear');
    await expect(lock()).rejects.toThrow('is not empty');
    expect(readdirSync(folder)).toEqual(['letter.txt']);
  });

  it('is of an engine that serves alone, from its start to its end; guests are let in', async () => {
    const time = new FakeTime();
    const engine = lmdb.make(time.clock(), folder);
    await engine.open();
    await expect(lmdb.make(time.clock(), folder).open()).rejects.toThrow(IN_USE);
    await engine.close();
    await lock();
    await expect(lmdb.make(time.clock(), folder).open()).rejects.toThrow(IN_USE);
  });

  it('is not kept by an engine that could not start', async () => {
    mkdirSync(join(folder, 'data.mdb'));
    await expect(lmdb.make(new FakeTime().clock(), folder).open()).rejects.toThrow('not a file');
    expect(readdirSync(folder)).toEqual(['data.mdb']);
  });
});
