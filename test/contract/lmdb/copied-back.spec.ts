import { expect, it } from '@jest/globals';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { FakeTime } from '../../support/fake-time.js';
import { makeTempFolder, removeFolder } from '../../support/temp-folder.js';
import { lmdb } from '../engines.js';
import { codeOf, put } from '../shorthand.js';

it('a data folder that was copied back does not use the tags again that were given out since the copy', async () => {
  const root = makeTempFolder();
  const [folder, copy] = [join(root, 'data'), join(root, 'copy.mdb')];
  const time = new FakeTime();
  /** A server's life: it starts, writes, stops. */
  const live = async (value: string): Promise<string> => {
    time.advance(2000);
    const engine = lmdb.make(time.clock(), folder);
    try {
      await engine.open();
      return (await put(engine, 'a', value)).etag;
    } finally {
      await engine.close();
    }
  };
  try {
    const tags = [await live('0')];
    copyFileSync(join(folder, 'data.mdb'), copy);
    tags.push(await live('lost'), await live('lost too'));
    copyFileSync(copy, join(folder, 'data.mdb'));
    tags.push(await live('1'), await live('2'));
    expect(new Set(tags).size).toBe(tags.length);
    expect(tags.toSorted()).toEqual(tags);

    const engine = lmdb.make(time.clock(), folder);
    await engine.open();
    for (const stale of tags.slice(0, -1))
      expect(await codeOf(put(engine, 'a', 'x', { condition: { ifMatch: [stale] } }))).toBe(
        'precondition-failed',
      );
    await engine.close();
  } finally {
    removeFolder(root);
  }
});
