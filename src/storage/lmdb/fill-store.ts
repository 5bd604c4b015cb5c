import type { Database } from 'lmdb';
import { openRoot } from './environment.js';
import { TREES, type TreeName } from './store-format.js';

/** What one transaction takes. */
const FILL_BYTES = 16 * 2 ** 20;
const FILL_RECORDS = 20_000;

/** A record as it lies in a tree. */
export interface RawRecord {
  readonly tree: TreeName;
  readonly key: Buffer;
  readonly value: Buffer;
}

/**
 * Makes a store in an empty `folder` of the records of another, which come tree by tree in the order of their keys, so
 * that every page is filled. Nobody else may see the folder yet.
 */
export async function fillStore(
  folder: string,
  records: Iterable<RawRecord> | AsyncIterable<RawRecord>,
): Promise<void> {
  const root = openRoot(folder);
  const raw = (name: TreeName): Database<Buffer, Buffer> =>
    root.openDB({ name, encoding: 'binary', keyEncoding: 'binary' });
  const trees = Object.fromEntries(TREES.map((name) => [name, raw(name)])) as Record<
    TreeName,
    ReturnType<typeof raw>
  >;
  const append = { append: true } as unknown as number;
  let chunk: RawRecord[] = [];
  const flush = (): Promise<void> =>
    root.childTransaction(() => {
      for (const { tree, key, value } of chunk) void trees[tree].put(key, value, append);
      chunk = [];
    });
  try {
    let bytes = 0;
    for await (const record of records) {
      chunk.push(record);
      bytes += record.value.length;
      if (bytes < FILL_BYTES && chunk.length < FILL_RECORDS) continue;
      await flush();
      bytes = 0;
    }
    await flush();
  } finally {
    await root.close();
  }
}
