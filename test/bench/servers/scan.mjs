// The limit of an export: the whole of a store read in order by the library alone, in this process. Prints milliseconds and
// the number of entries; with `tree`, the shape of the tree instead.
import { open } from 'lmdb';

const [path, what] = process.argv.slice(2);
const root = open({ path, readOnly: true, encoding: 'binary', cache: false, maxDbs: 8 });
const entries = root.openDB({ name: 'entries', encoding: 'binary' });
if (what === 'tree') {
  const { treeDepth, treeBranchPageCount, treeLeafPageCount, entryCount } = entries.getStats();
  console.log(JSON.stringify({ treeDepth, treeBranchPageCount, treeLeafPageCount, entryCount }));
} else {
  const begin = performance.now();
  let count = 0;
  let bytes = 0;
  for (const { key, value } of entries.getRange()) {
    count++;
    bytes += key.length + value.length;
  }
  console.log(JSON.stringify({ ms: performance.now() - begin, count, bytes }));
}
await root.close();
