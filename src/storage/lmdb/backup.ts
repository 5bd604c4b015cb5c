import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { giveWay } from '../../event-loop.js';
import { sync } from './folder.js';
import { decode } from './record.js';
import { Store } from './store.js';

/** Copies one instant of `store` to the file `target`, mode 0600, which appears only complete, verified and synced. */
export async function backUp(store: Store, target: string): Promise<void> {
  // LMDB makes the copy readable for all, so it is made in a folder that only the owner can enter.
  const folder = `${target}.making`;
  await rm(folder, { recursive: true, force: true });
  try {
    await mkdir(folder, { mode: 0o700 });
    const copy = await store.copyTo(folder);
    await chmod(copy, 0o600);
    await verify(folder);
    await sync(copy);
    await rename(copy, target);
    await sync(dirname(target));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Reads every entry of a copy, so that a backup that exists can be restored. @throws DatabaseError `corrupt` */
async function verify(folder: string): Promise<void> {
  const copy = await Store.open(folder, 'the copy');
  try {
    for (const { key, value } of copy.entries.getRange({ start: undefined })) {
      decode(key as string, value);
      const othersFirst = giveWay();
      if (othersFirst) await othersFirst;
    }
  } finally {
    await copy.close();
  }
}
