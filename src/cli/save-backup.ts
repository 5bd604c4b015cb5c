import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import type { Pigeonhole } from '../client/pigeonhole.js';
import { CommandError, EXIT } from './exit.js';

const FIRST_LINE_BYTES = 512;

export interface Saved {
  readonly file: string;
  readonly bytes: number;
  readonly entries: number;
  readonly made: string;
}

/**
 * Saves a backup of a server in `file`, which is there only when it is whole: an older file stays until then.
 *
 * @param show is told how many bytes have come, and how many will
 * @throws PigeonholeError if the server gives none, CommandError if it breaks off
 */
export async function saveBackup(
  db: Pigeonhole,
  file: string,
  show: (bytes: number, of: number) => void,
  signal: AbortSignal,
): Promise<Saved> {
  const response = await db.request('backup', { signal });
  const part = `${file}.part`;
  const target = await open(part, 'w', 0o600);
  try {
    const saved = await receive(response, show, (piece) => target.writeFile(piece));
    await target.sync();
    await rename(part, file);
    return { file, ...saved };
  } catch (error) {
    await rm(part, { force: true });
    throw signal.aborted || error instanceof CommandError ? error : broken(db.url, error as Error);
  } finally {
    await target.close();
  }
}

async function receive(
  response: Response,
  show: (bytes: number, of: number) => void,
  write: (piece: Uint8Array) => Promise<void>,
): Promise<Omit<Saved, 'file'>> {
  const total = Number(response.headers.get('content-length') ?? NaN);
  const [, digest] = /sha-256=:([^:]+):/.exec(response.headers.get('repr-digest') ?? '') ?? [];
  const hash = createHash('sha256');
  let first = Buffer.alloc(0);
  let bytes = 0;
  for await (const piece of response.body! as unknown as AsyncIterable<Uint8Array>) {
    if (first.length < FIRST_LINE_BYTES) first = Buffer.concat([first, piece]);
    hash.update(piece);
    await write(piece);
    bytes += piece.length;
    show(bytes, total);
  }
  if (bytes !== total || hash.digest('base64') !== digest)
    throw new CommandError('What came is not what was sent. Try again.');
  const { entries, made } = JSON.parse(first.toString('utf8', 0, FIRST_LINE_BYTES)) as Saved;
  return { bytes, entries, made };
}

function broken(url: string, error: Error): CommandError {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== undefined && 'syscall' in error)
    return new CommandError(`${error.message}. Nothing was saved.`);
  const cause = (error.cause as Error | undefined)?.message ?? error.message;
  return new CommandError(`${url} broke off the backup: ${cause}. Nothing was saved.`, EXIT.noConnection);
}
