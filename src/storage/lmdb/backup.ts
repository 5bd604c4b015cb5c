import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sync } from './data-folder.js';
import { decode } from './record.js';
import { Store } from './store.js';

/** Copies one instant of `store` to the file `target`, which appears there complete, verified and synced; mode 0600. */
export async function backUp(store: Store, target: string): Promise<void> {
  // The library makes a readable `data.mdb` in a folder: one that only the owner can enter.
  const making = `${target}.making`;
  await rm(making, { recursive: true, force: true });
  try {
    await mkdir(making, { mode: 0o700 });
    const copy = await store.copyTo(making);
    await chmod(copy, 0o600);
    await verify(making);
    await sync(copy);
    await rename(copy, target);
    await sync(dirname(target));
  } finally {
    await rm(making, { recursive: true, force: true });
  }
}

/** Reads a copy through, so that a backup that exists can be restored. @throws DatabaseError `corrupt` */
async function verify(folder: string): Promise<void> {
  const copy = await Store.open(folder, 'the copy');
  try {
    for (const { key, value } of copy.entries.getRange({ start: undefined })) decode(key as string, value);
  } finally {
    await copy.close();
  }
}
