import { existsSync, mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StartError } from '../../errors.js';

export const DATA = 'data.mdb';
export const LOCK = 'lock.mdb';
/** Where a new store is created. */
export const NEW_STORE = '.pigeonhole-making';
/** Where backups are made that are kept nowhere. Whoever makes one owns it. */
export const BACKUPS = '.pigeonhole-backup';
/** Begins the names of the sockets of owners (folder-lock.ts). */
export const OWNER = 'owner-';

/**
 * Creates a folder for its owner only, and those above it, so that they outlive a power loss. Node's recursive mkdir
 * would try for ever below /proc.
 */
export async function createFolder(folder: string): Promise<void> {
  if (existsSync(folder)) return;
  const parent = dirname(folder);
  await createFolder(parent);
  mkdirSync(folder, { mode: 0o700 });
  await sync(parent);
}

/** Waits until a file or a folder is on the disk. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** @throws StartError if a folder that has files with these `names` is in use for something else */
export function refuseForeign(folder: string, names: readonly string[]): void {
  const foreign = names.find((name) => !isOurs(name));
  if (foreign === undefined || names.includes(DATA)) return;
  throw new StartError(
    `DATABASE_URL: the folder ${folder} is not empty and holds no Pigeonhole database (it has ` +
      `${JSON.stringify(foreign)}). Name an empty or new folder; nothing was changed.`,
  );
}

/** Whether a folder without a store may hold the file. */
function isOurs(name: string): boolean {
  return [LOCK, NEW_STORE, BACKUPS, 'lost+found'].includes(name) || name.startsWith(OWNER);
}

/** Returns what stops the start if `error` came up while the folder was used. */
export function unusable(folder: string, error: unknown): StartError {
  if (error instanceof StartError) return error;
  return new StartError(
    `DATABASE_URL: the folder ${folder} cannot be used: ${(error as Error).message.replace(/\.$/, '')}.`,
  );
}
