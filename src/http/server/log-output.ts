import { constants, fstatSync, openSync, writeSync } from 'node:fs';

/*
 * Lines of the log on their way out.
 *
 * Problem: Node keeps in memory, without bound, what the reader of a pipe does not take, and gives up a stream after one
 * error, so that a full disk would silence it for good. A pipe is shared by all processes of the server, and each of them
 * that starts or ends makes it one again that blocks whoever writes. Design: each process opens its pipe or terminal once more,
 * so that it does not block, and writes by itself. What is not taken waits, 1 MiB at most. Guarantee: nothing here throws,
 * or waits for a reader; what cannot be written is dropped and counted, and a line says so as soon as one can be written
 * again. Up to 4096 bytes are written at a time and always whole lines, which the system does not mix with those of
 * another process. Not covered: a write to a file waits for its disk as long as the system lets it.
 */

/** What a pipe takes in one piece (PIPE_BUF of Linux). */
const PIECE_BYTES = 4096;
/** Beyond these the end of the turn is not waited for. */
const SOON_BYTES = 64 * 1024;
const MOST_WAITING_BYTES = 1024 * 1024;
const RETRY_MS = 20;

/** Lines that are written together. */
interface Piece {
  text: string;
  bytes: number;
  lines: number;
}

/** One output of the process. */
export class LogOutput {
  /** Lines that could not be written since the start. */
  dropped = 0;
  private target: Target | undefined;
  private readonly waiting: Piece[] = [];
  private waitingBytes = 0;
  /** What the system has left of the first piece. */
  private rest: Buffer | undefined;
  /** Whether the last line that was begun has no end. */
  private isTorn = false;
  /** Whether the last write succeeded. */
  private works = false;
  private reported = 0;
  private retry: NodeJS.Timeout | undefined;
  private isScheduled = false;

  /** @param lossLine returns the line that says how many lines were dropped */
  constructor(
    private readonly fd: 1 | 2,
    private readonly lossLine: (lines: number) => string,
  ) {}

  /** Writes a line, which has its new line at the end. */
  write(line: string): void {
    this.add(line);
    if (!this.retry) this.flush();
  }

  /** Writes a line together with others of the same turn of the event loop. */
  writeSoon(line: string): void {
    this.add(line);
    if (this.waitingBytes > SOON_BYTES && !this.retry) return this.flush();
    if (this.isScheduled || this.retry) return;
    this.isScheduled = true;
    setImmediate(() => {
      this.isScheduled = false;
      if (!this.retry) this.flush();
    });
  }

  private add(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.waitingBytes + bytes > MOST_WAITING_BYTES) {
      this.dropped++;
      return;
    }
    this.waitingBytes += bytes;
    const last = this.waiting.at(-1);
    // The first piece may be half written.
    if (last && last.bytes + bytes <= PIECE_BYTES && (this.waiting.length > 1 || !this.rest)) {
      last.text += line;
      last.bytes += bytes;
      last.lines++;
    } else this.waiting.push({ text: line, bytes, lines: 1 });
  }

  private flush(): void {
    for (let piece = this.waiting[0]; piece; piece = this.waiting[0]) {
      if (!this.take(piece)) return this.tryLater();
    }
    const lost = this.dropped - this.reported;
    if (lost === 0 || !this.works) return;
    this.reported = this.dropped;
    this.write(this.lossLine(lost));
  }

  /** Writes a piece, or drops it; returns false if the output takes no more at present. */
  private take(piece: Piece): boolean {
    const bytes = this.rest ?? Buffer.from(this.isTorn ? `\n${piece.text}` : piece.text);
    try {
      const written = writeSync(this.writable(), bytes);
      this.works = true;
      this.rest = written < bytes.length ? bytes.subarray(written) : undefined;
      this.isTorn = this.rest !== undefined;
      if (this.rest) return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') {
        this.rest = bytes;
        return false;
      }
      this.works = false;
      this.dropped += piece.lines;
      this.rest = undefined;
    }
    this.waiting.shift();
    this.waitingBytes -= piece.bytes;
    return true;
  }

  private writable(): number {
    const target = (this.target ??= this.open());
    if (target.isShared) unblock(this.fd);
    return target.fd;
  }

  private open(): Target {
    process.on('exit', () => this.flush());
    return openTarget(this.fd);
  }

  private tryLater(): void {
    this.retry = setTimeout(() => {
      this.retry = undefined;
      this.flush();
    }, RETRY_MS).unref();
  }
}

interface Target {
  readonly fd: number;
  /** Whether it may block, and other processes may make it do so again. */
  readonly isShared: boolean;
}

/** What is opened here belongs to this process. A socket, and what another user has opened, cannot be opened again. */
function openTarget(fd: 1 | 2): Target {
  try {
    const kind = fstatSync(fd);
    if (kind.isFile()) return { fd, isShared: false };
    const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
    return { fd: openSync(`/proc/self/fd/${fd}`, flags), isShared: false };
  } catch {
    return { fd, isShared: true };
  }
}

/** Node's handle of a stream, which files do not have. */
interface Handle {
  setBlocking?(isBlocking: boolean): void;
}

function unblock(fd: 1 | 2): void {
  const stream = fd === 1 ? process.stdout : process.stderr;
  (stream as { readonly _handle?: Handle })._handle?.setBlocking?.(false);
}
