import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import net, { type Socket } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { StartError } from '../../errors.js';
import { createFolder, OWNER, refuseForeign, unusable } from './folder.js';

/*
 * A folder has one owner.
 *
 * Problem: a server takes its folder for its own: it caches, sweeps and limits as if nobody else wrote. A second one
 * must be refused, and told who is there. A process id does not tell two processes apart, because containers that share
 * a folder may have the same ones; and a file that names the owner is still there after a kill.
 *
 * Design: the owner listens on a Unix socket in the folder. The kernel alone says whether anybody listens, to all its
 * containers, and stops saying so when the process ends, however it ends. (Node has no flock.) Each process makes a
 * socket of its own, whose name says since when, and who, and looks for others only after that: of two that start at
 * the same time at least one sees the other, and the later one gives way. A socket gets its name when it listens, so one
 * on which nobody listens is left over from a process that was killed; the next owner removes it.
 *
 * Guarantee: of the processes of one kernel, one at a time holds the lock. Guests hold none: the workers of an owner,
 * and commands that only read. Left out: machines that share a network file system, on which LMDB does not work either,
 * and file systems without sockets, where `report` gets a warning.
 */

/** How long an owner that began later has to give way. */
const GIVE_WAY_TRIES = 20;
const GIVE_WAY_MS = 50;
/** Time in ms since 1970, process, a number of its own, host. */
const NAME = new RegExp(`^${OWNER}(\\d{13})-(\\d+)-[0-9a-f]{8}-(.*)$`);
/** What the address of a Unix socket holds on every system, bytes. */
const MAX_ADDRESS_BYTES = 100;

/** Another process owns the folder. */
export class FolderInUseError extends StartError {}

/** Says that this process owns the folder. */
export interface FolderLock {
  release(): void;
}

/**
 * Creates `folder` if there is none and makes this process its owner, until it ends.
 *
 * @param welcome receives those who call on the owner
 * @throws StartError
 */
export async function lockFolder(
  folder: string,
  report?: (line: string) => void,
  welcome: (visitor: Socket) => void = (visitor) => void visitor.destroy(),
): Promise<FolderLock> {
  try {
    await createFolder(folder);
    accessSync(folder, constants.W_OK);
    refuseForeign(folder, readdirSync(folder));
    const own = await listenIn(folder, report, welcome);
    const rival = await findRival(folder, own?.name);
    if (rival === undefined) return { release: () => own?.close() };
    own?.close();
    throw new FolderInUseError(
      `DATABASE_URL: the folder ${folder} is in use by ${describe(rival)}. Stop that server, or name another folder; ` +
        'nothing was changed.',
    );
  } catch (error) {
    throw unusable(folder, error);
  }
}

interface Listener {
  readonly name: string;
  close(): void;
}

/** Returns undefined, and says so, if the file system takes no socket. */
async function listenIn(
  folder: string,
  report: ((line: string) => void) | undefined,
  welcome: (visitor: Socket) => void,
): Promise<Listener | undefined> {
  const host = hostname()
    .replace(/[^\w.-]/g, '_')
    .slice(0, 32);
  const name = `${OWNER}${Date.now()}-${process.pid}-${randomBytes(4).toString('hex')}-${host}`;
  const unnamed = name.replace(OWNER, `${OWNER}new-`);
  const server = net.createServer(welcome).unref();
  try {
    await withAddress(folder, unnamed, (path) => once(server.listen({ path, exclusive: true }), 'listening'));
  } catch (error) {
    const { message } = error as Error;
    report?.(`The folder ${folder} takes no lock (${message}): see to it that no second server uses it.`);
    return undefined;
  }
  server.on('error', () => undefined);
  const remove = (): void => rmSync(join(folder, name), { force: true });
  renameSync(join(folder, unnamed), join(folder, name));
  process.once('exit', remove);
  return {
    name,
    close() {
      process.off('exit', remove);
      remove();
      server.close();
    },
  };
}

/** Returns the name of another owner. */
async function findRival(folder: string, own: string | undefined): Promise<string | undefined> {
  for (let tries = GIVE_WAY_TRIES; ; tries--) {
    const rival = await findListening(folder, own);
    if (rival === undefined || own === undefined || rival < own || tries === 0) return rival;
    await pause(GIVE_WAY_MS);
  }
}

async function findListening(folder: string, own: string | undefined): Promise<string | undefined> {
  for (const name of ownersOf(folder).filter((each) => each !== own)) {
    if (await withAddress(folder, name, isListening)) return name;
    rmSync(join(folder, name), { force: true });
  }
  return undefined;
}

/** Returns whether a process listens. Anything but a plain no counts as yes. */
function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      settle(code !== 'ECONNREFUSED' && code !== 'ENOENT');
    });
  });
}

/** Returns the names of sockets of owners, some of which may have ended. */
export function ownersOf(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => NAME.test(name))
    .toSorted();
}

/** Runs `use` with the address of a socket in the folder, a short one where its path would be too long. */
export async function withAddress<T>(
  folder: string,
  name: string,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const path = join(folder, name);
  if (Buffer.byteLength(path) <= MAX_ADDRESS_BYTES) return use(path);
  const handle = openSync(folder, 'r');
  try {
    return await use(`/proc/self/fd/${handle}/${name}`);
  } finally {
    closeSync(handle);
  }
}

function describe(owner: string): string {
  const [, time, pid, host] = NAME.exec(owner)!;
  const since = new Date(Number(time)).toISOString().replace('T', ' ').replace(/\..*/, ' UTC');
  const elsewhere = Number(pid) === process.pid ? ' of another container' : '';
  return `process ${pid}${elsewhere} on ${host} since ${since}`;
}
