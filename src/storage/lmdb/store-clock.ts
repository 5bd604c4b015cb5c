import { JUMP_MS, type Clock } from '../clock.js';
import { openDataFolder } from './data-folder.js';
import { lockFolder } from './folder-lock.js';

/*
 * The time of a store, which is kept in its head and never runs backwards.
 *
 * Problem: a computer whose clock was a year ahead for a moment leaves a store that is a year ahead for ever. Nothing is
 * lost by that, but entries that expire at a given time do so too early. Design: the store cannot know which of two times
 * is wrong, and a computer that was suspended jumps ahead too. So it believes the later one and warns of a difference of
 * more than an hour; people can set the clock of a stopped store, after which times in its change log are lower than before.
 */

/** Starts `clock` at the `stored` time of the store in `folder`, ms since 1970, and warns of what may be wrong with it. */
export function startClock(
  clock: Clock,
  stored: number,
  folder: string,
  warn: (line: string) => void = () => undefined,
): void {
  const ahead = stored - clock.now();
  if (ahead > JUMP_MS)
    warn(
      `The database's clock is ${spell(ahead)} ahead of this computer's, and entries expire by it. ` +
        `If this computer's clock is right, stop the server and run \`pigeonhole set-clock ${folder}\`.`,
    );
  clock.raise(stored);
  clock.onJump = (milliseconds) =>
    warn(
      `This computer's clock has moved ahead by ${spell(milliseconds)}, and what ends in that time has expired. ` +
        `If that was wrong, stop the server, correct the clock and run \`pigeonhole set-clock ${folder}\`.`,
    );
}

/**
 * Sets the clock of a stopped store to `now` if it is ahead of that. Entries keep the times at which they expire.
 *
 * @returns the time of the store before, ms since 1970
 * @throws StartError if a server uses the folder
 */
export async function setClock(folder: string, now: number): Promise<number> {
  const lock = await lockFolder(folder);
  try {
    const store = await openDataFolder(folder);
    const head = store.readHead();
    if (head.now > now) await store.transaction(() => store.writeHead({ ...head, now }));
    await store.close();
    return head.now;
  } finally {
    lock.release();
  }
}

/** Returns a duration in the largest unit that it has at least two of. */
export function spell(milliseconds: number): string {
  const units = [
    ['days', 86_400_000],
    ['hours', 3_600_000],
    ['minutes', 60_000],
  ] as const;
  const [name, unit] = units.find(([, size]) => milliseconds >= 2 * size) ?? (['seconds', 1000] as const);
  return `${Math.floor(milliseconds / unit)} ${name}`;
}
