import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';

/* Takes a backup from a server over HTTP. This file knows nothing of the server but its address. */

const DEFAULT_URL = 'http://127.0.0.1:4000';
const FIRST_LINE_BYTES = 512;

/** A failure with the exit code that tells scripts its kind. */
export class SaveError extends Error {
  constructor(
    message: string,
    readonly exitCode: 1 | 2 | 5,
  ) {
    super(message);
  }
}

export interface Saved {
  readonly file: string;
  readonly bytes: number;
  readonly entries: number;
  readonly made: string;
}

/**
 * Saves a backup of the server at `url` in `file`, which is there only when it is whole: an older file stays until then.
 *
 * @param show is told how many bytes have come, and how many will
 * @throws SaveError
 */
export async function saveBackup(
  url: string = process.env['PIGEONHOLE_URL'] || DEFAULT_URL,
  file: string,
  show: (bytes: number, of: number) => void,
  signal: AbortSignal,
): Promise<Saved> {
  const response = await request(url, signal);
  const part = `${file}.part`;
  const target = await open(part, 'w', 0o600);
  try {
    const saved = await receive(response, show, (piece) => target.writeFile(piece));
    await target.sync();
    await rename(part, file);
    return { file, ...saved };
  } catch (error) {
    await rm(part, { force: true });
    throw signal.aborted || error instanceof SaveError ? error : broken(url, error as Error);
  } finally {
    await target.close();
  }
}

async function request(url: string, signal: AbortSignal): Promise<Response> {
  const token = tokenOf();
  const headers: Record<string, string> = token === '' ? {} : { Authorization: `Bearer ${token}` };
  let response: Response;
  try {
    response = await fetch(`${url.replace(/\/+$/, '')}/backup`, { headers, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new SaveError(
      `${url} cannot be reached: ${causeOf(error as Error)}. Name the server with --url.`,
      2,
    );
  }
  if (response.ok) return response;
  throw new SaveError(`${url}: ${await detailOf(response)}`, [401, 403].includes(response.status) ? 5 : 1);
}

/** The token is never an argument, which everybody on the machine could read. */
function tokenOf(): string {
  const path = process.env['PIGEONHOLE_TOKEN_FILE'];
  return process.env['PIGEONHOLE_TOKEN'] || (path ? readFileSync(path, 'utf8').trim() : '');
}

async function detailOf(response: Response): Promise<string> {
  const text = await response.text();
  try {
    return (JSON.parse(text) as { detail: string }).detail;
  } catch {
    return `answered ${response.status}`;
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
    throw new SaveError('What came is not what was sent. Try again.', 1);
  const { entries, made } = JSON.parse(first.toString('utf8', 0, FIRST_LINE_BYTES)) as Saved;
  return { bytes, entries, made };
}

function broken(url: string, error: Error): SaveError {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== undefined && 'syscall' in error)
    return new SaveError(`${error.message}. Nothing was saved.`, 1);
  return new SaveError(`${url} broke off the backup: ${causeOf(error)}. Nothing was saved.`, 2);
}

function causeOf(error: Error): string {
  return (error.cause as Error | undefined)?.message ?? error.message;
}
