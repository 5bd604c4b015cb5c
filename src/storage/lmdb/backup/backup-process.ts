import { createHash } from 'node:crypto';
import { fsyncSync, readSync } from 'node:fs';
import { setPriority } from 'node:os';
import { DatabaseError } from '../../../errors.js';
import { diskFull, FULL_CODES, roomBeside } from '../disk-space.js';
import { BackupFault, type BackupHeader } from './backup-file.js';
import { BackupReader } from './backup-reader.js';
import { writeBackup } from './backup-writer.js';

/*
 * The process that makes a backup: it writes the copy to the file that it has been given open, waits until it is on the disk,
 * and reads it again. So the server's event loop has nothing of it, and damaged pages, or much memory for one large value,
 * concern this process only. It says on stdout how it gets on, a BackupMessage a line, and ends when its stdin does.
 */

/** The file, open in this process. */
const TARGET = 3;
/** Others go first, because they are asked for something now. */
const NICENESS = 10;
const DIGEST_BYTES = 2 ** 20;

/** What the process is to do. */
export interface BackupTask {
  /** The data file. */
  readonly path: string;
  /** A folder on the disk of the target. */
  readonly disk: string;
}

export type BackupMessage =
  | { readonly wrote: number }
  /** The data file is needed no longer. */
  | { readonly copied: true }
  | { readonly made: BackupHeader; readonly sha256: string }
  | { readonly failed: DatabaseError['code']; readonly detail: string };

function say(message: BackupMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function run({ path, disk }: BackupTask): Promise<void> {
  await writeBackup(path, TARGET, (wrote) => {
    if (roomBeside(disk) <= 0) throw diskFull();
    say({ wrote });
  });
  fsyncSync(TARGET);
  say({ copied: true });
  const copy = BackupReader.on(TARGET);
  await copy.verify((wrote) => say({ wrote }));
  say({ made: copy.header, sha256: digestOf(copy.header.bytes) });
}

/** Returns the digest of the whole file, in base64. */
function digestOf(bytes: number): string {
  const hash = createHash('sha256');
  const piece = Buffer.alloc(DIGEST_BYTES);
  for (let at = 0; at < bytes;) {
    const read = readSync(TARGET, piece, 0, piece.length, at);
    if (read === 0) break;
    hash.update(piece.subarray(0, read));
    at += read;
  }
  return hash.digest('base64');
}

function failureOf(error: unknown): BackupMessage {
  if (error instanceof DatabaseError) return { failed: error.code, detail: error.detail };
  const { code, message } = error as NodeJS.ErrnoException;
  if (FULL_CODES.has(-(error as { errno?: number }).errno!)) return failureOf(diskFull());
  if (error instanceof BackupFault)
    return { failed: 'corrupt', detail: `The backup was made and thrown away, because it ${message}.` };
  if (code === undefined) throw error;
  return { failed: 'unavailable', detail: `The backup could not be written: ${message}.` };
}

process.stdin.on('end', () => process.exit()).resume();
process.stdout.on('error', () => process.exit());
try {
  setPriority(NICENESS);
  await run(JSON.parse(process.argv[2]!) as BackupTask);
} catch (error) {
  say(failureOf(error));
}
// Not before what has been said is on its way.
process.stdout.end(() => process.exit());
