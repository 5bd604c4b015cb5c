import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { StartError } from '../../errors.js';
import { Check } from './check.js';
import { fillStore, type RawRecord } from './fill-store.js';
import { sync } from './folder.js';
import { assertNoServer } from './guest.js';
import { PageFile } from './pages/page-file.js';
import { PageSet } from './pages/page-set.js';
import { RecordReader } from './pages/records.js';
import { findSnapshot } from './pages/snapshot.js';
import { TREES } from './store-format.js';

const MAKING = '.pigeonhole-compacting';

/** Sizes of the data file, bytes. */
interface Compacted {
  readonly before: number;
  readonly after: number;
  readonly entries: number;
}

/**
 * Writes the store in `folder` anew, in the order of its keys, so that no page is free and every page is full.
 *
 * The old file stays until the new one is on the disk, has passed the check and has the same records; then one rename puts it in
 * its place. Where the new one is not smaller the old one stays.
 * @param show is told how many of the file's pages have been read
 * @throws StartError, having changed nothing
 */
export async function compact(
  folder: string,
  show: (pages: number, of: number) => void,
  signal: AbortSignal,
): Promise<Compacted> {
  await assertNoServer(folder);
  const file = join(folder, 'data.mdb');
  const making = join(folder, MAKING);
  const old = PageFile.open(file);
  try {
    refuseDamaged(old, folder);
    rmSync(making, { recursive: true, force: true });
    mkdirSync(making, { mode: 0o700 });
    refuseWithoutRoom(old, folder);
    const before = new Digest(old, (pages) => show(pages, old.length), signal);
    await fillStore(making, before.records());
    const made = join(making, 'data.mdb');
    const entries = verify(made, before);
    chmodSync(made, 0o600);
    await sync(made);
    const sizes = { before: statSync(file).size, after: statSync(made).size, entries };
    if (sizes.after >= sizes.before) return { ...sizes, after: sizes.before };
    await assertNoServer(folder);
    refuseChanged(old, file, folder);
    signal.throwIfAborted();
    renameSync(made, file);
    await sync(folder);
    return sizes;
  } finally {
    old.close();
    rmSync(making, { recursive: true, force: true });
  }
}

function refuseDamaged(file: PageFile, folder: string): void {
  let first: string | undefined;
  new Check(file, (fault) => (first ??= fault)).run();
  if (first !== undefined)
    throw new StartError(`${folder} is damaged (${first}). See \`pigeonhole check\`; nothing was changed.`);
}

function refuseWithoutRoom(file: PageFile, folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  const needed = file.length * file.pageSize;
  if (bavail * bsize < needed)
    throw new StartError(
      `The disk of ${folder} needs ${needed} bytes of room to compact it; nothing was changed.`,
    );
}

/** @throws StartError if a server has written to the file since it was opened */
function refuseChanged(old: PageFile, path: string, folder: string): void {
  const now = PageFile.open(path);
  now.close();
  if (JSON.stringify(now.metas) === JSON.stringify(old.metas)) return;
  throw new StartError(`${folder} was written to meanwhile. Stop its server first; nothing was changed.`);
}

/** Checks a new file; returns how many entries it has. @throws StartError */
function verify(path: string, before: Digest): number {
  const file = PageFile.open(path);
  try {
    refuseDamaged(file, path);
    const after = new Digest(file);
    for (const _ of after.records());
    if (after.text !== before.text)
      throw new StartError('The new file differs from the old one, which stays as it is.');
    return after.entries;
  } finally {
    file.close();
  }
}

/** The records of all trees of a sound file, and a digest over those that have been read. */
class Digest {
  entries = 0;
  private readonly hash = createHash('sha256');

  constructor(
    private readonly file: PageFile,
    private readonly show: (pages: number) => void = () => undefined,
    private readonly signal?: AbortSignal,
  ) {}

  *records(): Iterable<RawRecord> {
    const { snapshot } = findSnapshot(this.file);
    const seen = new PageSet(this.file.length);
    for (const tree of TREES) {
      for (const record of new RecordReader(this.file, snapshot!, seen).read(tree)) {
        this.signal?.throwIfAborted();
        this.show(seen.size);
        if (record.fault !== undefined)
          throw new StartError(`${tree}: ${record.fault}; nothing was changed.`);
        if (tree === 'entries') this.entries++;
        this.add(tree, record.key, record.value);
        yield { tree, key: record.key, value: record.value };
      }
    }
  }

  get text(): string {
    return this.hash.copy().digest('hex');
  }

  private add(tree: string, key: Buffer, value: Buffer): void {
    this.hash.update(`${tree} ${key.length} ${value.length} `).update(key).update(value);
  }
}
