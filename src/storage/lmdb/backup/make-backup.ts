import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { BUILT } from '../../../built-files.js';
import { DatabaseError } from '../../../errors.js';
import type { BackupCopy, BackupTarget } from '../../backup-copy.js';
import { roomBeside } from '../disk-space.js';
import { BACKUPS, DATA, NEW_STORE } from '../folder.js';
import { FolderInUseError, lockFolder, type FolderLock } from '../folder-lock.js';
import type { Scans } from '../scans.js';
import type { Store } from '../store.js';
import type { BackupMessage, BackupTask } from './backup-process.js';

/*
 * Backups of the store while it is in use.
 *
 * Problem: a copy must show one commit, and to show it while it is sent to a slow client would keep every page that is
 * overwritten meanwhile. Nobody else may wait for it, and nothing of it may be left behind, not even by a process that is
 * killed. Design: a process of its own writes the copy to a file and reads it again (backup-process.ts); this process keeps the
 * pages meanwhile, within the limits of all long reads (scans.ts), and no longer. A copy that is only to be sent goes to a
 * file that has lost its name as soon as it was made, so that the system removes it when the last process that has it open
 * ends. One backup is made at a time: who makes it owns a folder for as long as its copy is needed. There has to be room for
 * all of it beside the reserve of the database before it begins, and after each piece.
 */

const PROCESS = fileURLToPath(new URL('storage/lmdb/backup/backup-process.js', BUILT));
const FILE_ACCESS = 0o600;

/** Makes the backups of a store. */
export class Backups {
  private readonly stopping = new AbortController();

  constructor(
    private readonly store: Store,
    private readonly scans: Scans,
  ) {}

  /** See StorageEngine.backup. */
  async make(target?: BackupTarget, asked?: AbortSignal): Promise<BackupCopy> {
    const signal = AbortSignal.any([this.stopping.signal, ...(asked ? [asked] : [])]);
    const folder = join(this.store.folder, BACKUPS);
    const lock = await this.lock(folder);
    let descriptor = target?.descriptor;
    const release = (): void => {
      if (!target && descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
      lock.release();
    };
    try {
      const disk = target?.folder ?? folder;
      this.assertRoom(disk);
      descriptor ??= openNameless(folder);
      const { made, sha256 } = await this.run(descriptor, disk, signal);
      const { bytes, entries, position } = made;
      return { descriptor, made: Date.parse(made.made), bytes, entries, position, sha256, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Ends what is under way. */
  stop(): void {
    this.stopping.abort(new DatabaseError('stopping', 'The server is shutting down. No backup was made.'));
  }

  private async lock(folder: string): Promise<FolderLock> {
    try {
      return await lockFolder(folder);
    } catch (error) {
      if (error instanceof FolderInUseError)
        throw new DatabaseError(
          'busy',
          'Another backup is under way, and there is one at a time. Try again later.',
        );
      const detail = `No backup could be begun: ${(error as Error).message.replace(/^DATABASE_URL: /, '')}`;
      throw new DatabaseError('unavailable', detail);
    }
  }

  /** @throws DatabaseError `disk-full` */
  private assertRoom(disk: string): void {
    const { file, free } = this.store.size();
    const [needed, room] = [file - free, Math.max(0, roomBeside(disk))];
    if (room >= needed) return;
    throw new DatabaseError(
      'disk-full',
      `A backup needs up to ${needed} bytes of room in ${disk}, where there are ${room}. The database is not concerned.`,
    );
  }

  private async run(descriptor: number, disk: string, signal: AbortSignal): Promise<Made> {
    signal.throwIfAborted();
    const task: BackupTask = { path: join(this.store.folder, DATA), disk };
    const child = spawn(process.execPath, [PROCESS, JSON.stringify(task)], {
      stdio: ['pipe', 'pipe', 'ignore', descriptor],
    });
    child.stdin!.on('error', () => undefined);
    const kill = (): void => void child.kill('SIGKILL');
    signal.addEventListener('abort', kill);
    const messages = messagesOf(child);
    try {
      const copied = await this.scans.hold(async (progress, ended) => {
        ended.addEventListener('abort', kill);
        const message = await nextOf(messages, progress);
        ended.throwIfAborted();
        return message;
      });
      const last = copied && 'copied' in copied ? await nextOf(messages) : copied;
      signal.throwIfAborted();
      return resultOf(last);
    } finally {
      signal.removeEventListener('abort', kill);
      kill();
    }
  }
}

type Made = Extract<BackupMessage, { made: unknown }>;

/** @throws DatabaseError that the process met */
function resultOf(message: BackupMessage | undefined): Made {
  if (message && 'made' in message) return message;
  if (message && 'failed' in message) throw new DatabaseError(message.failed, message.detail);
  throw new DatabaseError('unavailable', 'The process that makes the backup has ended. No backup was made.');
}

/** The next message but those of progress; undefined if the process has ended. */
async function nextOf(
  messages: AsyncIterator<BackupMessage, void>,
  progress: () => void = () => undefined,
): Promise<BackupMessage | undefined> {
  for (;;) {
    const { done, value } = await messages.next();
    if (done) return undefined;
    progress();
    if (!('wrote' in value)) return value;
  }
}

/** What the process says, until it ends. */
async function* messagesOf(child: ChildProcess): AsyncGenerator<BackupMessage, void> {
  const failed = new Promise<never>((_resolve, reject) => {
    child.once('error', (error) =>
      reject(
        new DatabaseError('unavailable', `No process could be started for the backup: ${error.message}.`),
      ),
    );
  });
  failed.catch(() => undefined);
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await Promise.race([lines.next(), failed]);
    if (done) return;
    yield JSON.parse(value as string) as BackupMessage;
  }
}

/** Returns a file that is gone as soon as nobody has it open. */
function openNameless(folder: string): number {
  const path = join(folder, NEW_STORE);
  const descriptor = openSync(path, 'w+', FILE_ACCESS);
  unlinkSync(path);
  return descriptor;
}
