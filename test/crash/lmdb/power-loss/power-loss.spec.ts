import { expect } from '@jest/globals';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Clock } from '../../../../src/storage/clock.js';
import { LmdbEngine } from '../../../../src/storage/lmdb/engine.js';
import { HANG_MS } from '../../../support/eventually.js';
import { rounds } from '../../../support/long-run.js';
import { compilePreload } from '../../../support/machine.js';
import { Random } from '../../../support/random.js';
import { testWhere } from '../../../support/requires.js';
import { startServer } from '../../../support/server.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';
import { put } from '../../../contract/shorthand.js';
import { DiskJournal } from './disk-journal.js';
import { KnownWrites } from './known-writes.js';

const WRITERS = 32;
const RECORDED_MS = 2000;
const ROUNDS = rounds(1);
const IMAGES = 25;
/** Every moment is on this side of the store's own, so that only the stored epoch can raise the next one. */
const LONG_AGO = Date.UTC(2020, 0, 1);

const shim = compilePreload('recording-disk', temporaryFolder());
const test = testWhere(
  shim !== undefined,
  'there is no gcc to make a disk that writes down what happens to it',
);

for (const workers of [1, 2]) {
  test(
    `a loss of power loses no acknowledged write and halves no batch, in ${ROUNDS * IMAGES} states of the disk, WORKERS=${workers}`,
    async () => {
      const found: string[] = [];
      let answered = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const { journal, known } = await record(String(workers));
        answered += known.answered;
        const random = new Random(workers * 10_000 + round);
        for (const moment of journal.moments(IMAGES, random))
          found.push(...(await faultsAfter(journal.imageAt(moment, random), known, moment)));
      }
      process.stdout.write(
        `power loss, WORKERS=${workers}: ${ROUNDS * IMAGES} states of the disk, ${answered} writes answered, ` +
          `${found.length} faults\n`,
      );
      expect(found).toEqual([]);
    },
    ROUNDS * 3 * HANG_MS,
  );
}

test('the check finds a write that the disk lost after its answer', async () => {
  const { journal, known, before } = await record('1');
  const moment = journal.moments(200, new Random(1)).at(-1)!;
  expect(await faultsAfter(before, known, moment)).not.toEqual([]);
});

/** Lets writers write to a server for a while. */
async function record(
  WORKERS: string,
): Promise<{ journal: DiskJournal; known: KnownWrites; before: Buffer }> {
  const folder = temporaryFolder();
  const DATABASE_URL = `lmdb:${join(folder, 'data')}`;
  await (await startServer({ DATABASE_URL })).end('SIGTERM');
  const before = readFileSync(join(folder, 'data', 'data.mdb'));

  const path = join(folder, 'journal');
  writeFileSync(path, '');
  const server = await startServer({ DATABASE_URL, WORKERS, LD_PRELOAD: shim!, RECORD_TO: path });
  const known = new KnownWrites(server.port, () => statSync(path).size);
  let isOver = false;
  const writing = known.run(WRITERS, () => isOver);
  await pause(RECORDED_MS);
  isOver = true;
  await writing;
  await server.end('SIGKILL');
  return { journal: new DiskJournal(path, before), known, before };
}

/** Opens a store that was left as `image`, and returns what is wrong with it. */
async function faultsAfter(image: Buffer, known: KnownWrites, moment: number): Promise<string[]> {
  const folder = join(temporaryFolder(), 'data');
  mkdirSync(folder);
  writeFileSync(join(folder, 'data.mdb'), image);
  const onFailure = (error: Error) => {
    throw error;
  };
  const settings = { onFailure, maxSnapshotAge: 600_000, watchLogBytes: 2 ** 26 };
  const engine = new LmdbEngine(folder, settings, new Clock(() => LONG_AGO));
  try {
    await engine.open();
    const shown = new Map<string, string>();
    for await (const entries of engine.scan({ prefix: '', values: true }))
      for (const { key, value } of entries) shown.set(key, value.toString());
    const faults = known.faults(shown, moment);
    const written = `"${(await put(engine, 'after', 'x')).etag}"`;
    if (written <= known.highestTag(moment)) faults.push(`the tag ${written} is not above the earlier ones`);
    await engine.close();
    return faults;
  } catch (error) {
    return [`the store does not open: ${String(error)}`];
  } finally {
    rmSync(folder, { recursive: true });
  }
}
