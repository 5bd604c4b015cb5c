import { Segment } from '../log-segment.js';
import type { PageFile } from './page-file.js';
import type { PageSet } from './page-set.js';
import type { Snapshot } from './snapshot.js';
import { TreeWalk } from './tree.js';

/** Each segment of the change log, oldest first; undefined in place of one, or of several, that cannot be read. */
export function* readSegments(
  file: PageFile,
  { trees, transaction }: Snapshot,
  seen: PageSet,
): Iterable<Segment | undefined> {
  for (const { page } of new TreeWalk(file, transaction, seen).pages(trees.log.root)) {
    if (!page) yield undefined;
    for (const node of page?.nodes ?? []) {
      if (node.run) seen.add(node.run.page, node.run.pages);
      const value = file.valueOf(node);
      yield value && Segment.parse(value);
    }
  }
}
