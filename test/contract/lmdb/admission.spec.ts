import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Admissions, askForAdmission, type Admission } from '../../../src/storage/lmdb/admission.js';
import { LmdbEngine } from '../../../src/storage/lmdb/engine.js';
import { lockFolder, ownersOf, type FolderLock } from '../../../src/storage/lmdb/folder-lock.js';
import { eventually } from '../../support/eventually.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { pause, put } from '../shorthand.js';

const SETTINGS = {
  onFailure: (error: Error) => expect(error).toBeUndefined(),
  maxSnapshotAge: 60_000,
  watchLogBytes: 2 ** 20,
};

let folder: string;
let lock: FolderLock;
/** What happened, in order. */
let events: string[];

const holdOf = (name: string) => async () => {
  events.push(`${name} waits`);
  return () => void events.push(`${name} goes on`);
};

beforeEach(async () => {
  folder = temporaryFolder();
  events = [];
  lock = await lockFolder(folder, undefined, new Admissions(() => holdOf('owner')).welcome);
});
afterEach(() => lock.release());

describe('a process that opens the store of another', () => {
  it('is let in when the owner writes no more, which goes on when it is open', async () => {
    const admission = await askForAdmission(folder);
    expect(events).toEqual(['owner waits']);
    admission.opened();
    await eventually(() => events.length === 2);
    expect(events[1]).toBe('owner goes on');
  });

  it('is let in alone', async () => {
    const first = await askForAdmission(folder);
    let second: Admission | undefined;
    const asking = askForAdmission(folder).then((admission) => (second = admission));
    await pause(50);
    expect(second).toBeUndefined();
    first.opened();
    (await asking).opened();
    await eventually(() => events.length === 4);
    expect(events).toEqual(['owner waits', 'owner goes on', 'owner waits', 'owner goes on']);
  });

  it('waits for others that are let in before, from then on, if it writes', async () => {
    (await askForAdmission(folder)).opened(holdOf('writer'));
    await eventually(() => events.length === 2);
    events = [];
    const admission = await askForAdmission(folder);
    expect(events.toSorted()).toEqual(['owner waits', 'writer waits']);
    admission.opened();
    await eventually(() => events.length === 4);
    expect(events.slice(2).toSorted()).toEqual(['owner goes on', 'writer goes on']);
  });

  it('harms nobody when it is killed at any moment', async () => {
    const [owner] = ownersOf(folder);
    for (const said of ['', 'op', 'open\n', 'open\nwrites\n', 'nonsense\n']) {
      const socket = net.connect(join(folder, owner!));
      await once(socket, 'connect');
      await new Promise((resolve) => socket.write(said, resolve));
      await pause(20);
      // What the owner has said is unread, so its connection is reset.
      socket.pause().destroy();
    }
    (await askForAdmission(folder)).opened();
    await eventually(() => events.at(-1) === 'owner goes on');
  });

  it('needs nobody where there is no owner, and waits for none that has ended', async () => {
    lock.release();
    (await askForAdmission(folder)).opened();
    (await askForAdmission(join(folder, 'none'))).opened();
    expect(events).toEqual([]);
  });
});

describe('an engine', () => {
  it('has its writes wait while another process opens its store, and loses none', async () => {
    const data = temporaryFolder();
    const engine = new LmdbEngine(data, SETTINGS);
    await engine.open();
    await put(engine, 'a', '1');
    const admission = await askForAdmission(data);
    let written = false;
    const writing = put(engine, 'a', '2').then(() => (written = true));
    await pause(50);
    expect(written).toBe(false);
    admission.opened();
    await writing;
    expect((await engine.get('a'))?.value.toString()).toBe('2');
    await engine.close();
  });

  it('loses no write while guests come and go', async () => {
    const data = temporaryFolder();
    const engine = new LmdbEngine(data, SETTINGS);
    await engine.open();
    const built = pathToFileURL(join(process.cwd(), 'dist/storage/lmdb/guest.js')).href;
    const guest = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `const { visit } = await import(${JSON.stringify(built)});
         for (let i = 0; i < 5; i++) (await visit(${JSON.stringify(data)})).leave();`,
      ],
      { stdio: 'inherit' },
    );
    const ended = once(guest, 'exit');
    let isOver = false;
    void ended.then(() => (isOver = true));
    let last = '';
    while (!isOver) {
      const { etag } = await put(engine, 'a', 'x');
      expect(etag > last).toBe(true);
      expect(engine.head('a')?.etag).toBe(etag);
      last = etag;
    }
    expect(await ended).toEqual([0, null]);
    expect(readFileSync(join(data, 'data.mdb')).length).toBeGreaterThan(0);
    await engine.close();
  });
});
