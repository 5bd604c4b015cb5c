import net, { type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { StartError } from '../../errors.js';
import { ownersOf, withAddress } from './folder-lock.js';

/*
 * Nobody commits while a process opens the store.
 *
 * Problem: a process that opens an LMDB environment reads which commit is the last, and some time later writes that down
 * for all processes, without a lock (mdb_env_open2 sets mti_txnid). A commit of another process in between is then
 * forgotten: reads do not show it, and the next write takes its place. Seen once in some 200,000 writes beside workers that
 * start. Design: whoever wants to open the store asks its owner (folder-lock.ts), who lets in one at a time and meanwhile
 * has all writers wait: itself, and the workers, which stay connected. A connection that ends says that its process has.
 * Guarantee: every commit is seen by all. Left out: programs that are not ours.
 */

const OPEN = 'open';
const GO = 'go';
const WRITES = 'writes';
const HOLD = 'hold';
const HELD = 'held';
const RESUME = 'resume';

/** For how long an open store may take to pause its writes, or a process to open it. The disk is given up after 30 s. */
const WITHIN_MS = 30_000;

/** Lets no commit begin, waits for the one under way, and resolves to what lets them go on. */
export type Hold = () => Promise<() => void>;

/** The owner's side: lets in others, one at a time. */
export class Admissions {
  private readonly writers = new Map<Socket, Hold>();
  private last = Promise.resolve();

  /** @param own what holds the writes of this process, once it writes */
  constructor(private readonly own: () => Hold | undefined = () => undefined) {}

  /** Takes what a visitor says, who may be one that only looks whether somebody listens. */
  readonly welcome = (visitor: Socket): void => {
    const lines = linesOf(visitor.unref());
    lines.once('line', (line: string) => {
      if (line !== OPEN) return visitor.destroy();
      this.last = this.last.then(() => this.letIn(visitor, lines)).catch(() => void visitor.destroy());
    });
  };

  private async letIn(visitor: Socket, lines: Lines): Promise<void> {
    if (visitor.destroyed) return;
    const own = this.own();
    const holds = [...(own ? [own] : []), ...this.writers.values()];
    const held = await Promise.allSettled(holds.map((hold) => hold()));
    try {
      if (held.some(({ status }) => status === 'rejected')) return void visitor.destroy();
      visitor.write(`${GO}\n`);
      if ((await nextLine(visitor, lines)) !== WRITES) return;
      this.writers.set(visitor, () => holdOf(visitor, lines));
      visitor.once('close', () => this.writers.delete(visitor));
    } finally {
      for (const each of held) if (each.status === 'fulfilled') each.value();
    }
  }
}

/** Holds the writes of another process. One that has ended writes nothing. @throws Error if it does not answer */
async function holdOf(writer: Socket, lines: Lines): Promise<() => void> {
  const resume = (): void => void writer.write(`${RESUME}\n`, () => undefined);
  if (writer.destroyed) return resume;
  writer.write(`${HOLD}\n`);
  try {
    await nextLine(writer, lines);
    return resume;
  } catch (error) {
    resume();
    throw error;
  }
}

/** A process that is let in to open the store. */
export interface Admission {
  /** Called when the store is open. With `hold` this process goes on to write. */
  opened(hold?: Hold): void;
}

/** Asks the owner of `folder` to be let in. Without an owner nobody writes. @throws StartError if it does not answer */
export async function askForAdmission(folder: string): Promise<Admission> {
  for (const owner of ownersOf(folder)) {
    const socket = await withAddress(folder, owner, connect);
    if (!socket) continue;
    const lines = linesOf(socket);
    socket.write(`${OPEN}\n`);
    const answer = await nextLine(socket, lines).catch(() => undefined);
    if (answer === GO) return { opened: (hold) => stay(socket, lines, hold) };
    socket.destroy();
    throw new StartError(
      `DATABASE_URL: the server that has the folder ${folder} does not let this process in; it may be paused. Try again.`,
    );
  }
  return { opened: () => undefined };
}

function stay(socket: Socket, lines: Lines, hold: Hold | undefined): void {
  if (!hold) return void socket.destroy();
  let resume: Promise<() => void> | undefined;
  const goOn = (): void => {
    void resume?.then((go) => go());
    resume = undefined;
  };
  lines.on('line', (line: string) => {
    if (line === RESUME) return goOn();
    resume = hold();
    void resume.then(() => socket.write(`${HELD}\n`));
  });
  // An owner that has ended lets nobody in any more.
  socket.once('close', goOn);
  socket.unref().write(`${WRITES}\n`);
}

function connect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect(path, () => resolve(socket));
    socket.on('error', () => resolve(undefined));
  });
}

type Lines = ReturnType<typeof createInterface>;

/** The error of a connection, which the lines have too, is that its process was killed. It ends with 'close'. */
function linesOf(socket: Socket): Lines {
  socket.on('error', () => undefined);
  return createInterface({ input: socket }).on('error', () => undefined);
}

/** Resolves to what the other says next, or undefined if its process has ended. @throws Error if it says nothing */
function nextLine(socket: Socket, lines: Lines): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const settle = (line?: string): void => {
      clearTimeout(late);
      lines.off('line', settle);
      socket.off('close', onClose);
      resolve(line);
    };
    const onClose = () => settle();
    const late = setTimeout(() => {
      reject(new Error('no answer'));
      settle();
    }, WITHIN_MS);
    lines.once('line', settle);
    socket.once('close', onClose);
    if (socket.destroyed) settle();
  });
}
