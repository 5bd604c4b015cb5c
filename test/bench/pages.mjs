// Where the results are shown: between marks in the README and in docs/performance.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { briefTable, growthTables, table } from './report.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const README = here('../../README.md');
const PAGE = here('../../docs/performance.md');

/** What the README shows: contest, and beside whom. One that is won, and two that are not. */
const FIRST = [
  ['get', 'webdis + redis'],
  ['put', 'webdis + redis, appendfsync always'],
  ['put', 'etcd gateway'],
];

/** What stands between which marks of which page: page → mark → Markdown. */
export function shown({ contests, growth, machine }) {
  const rowsOf = (names) => names.flatMap((name) => contests[name]?.rows ?? []);
  const first = FIRST.flatMap(([name, peer]) =>
    rowsOf([name]).filter(({ against, skipped }) => against === peer && !skipped),
  );
  return {
    [README]: { table: briefTable(first) },
    [PAGE]: {
      machine: Object.entries(machine)
        .map(([what, value]) => `${what} ${value}`)
        .join(', '),
      table: table(rowsOf(Object.keys(contests))),
      runs: Object.entries(contests).map(runOf).join('\n'),
      ...(growth && { growth: growthTables(growth) }),
    },
  };
}

/** Writes the results where they are shown. */
export function show(results) {
  for (const [page, blocks] of Object.entries(shown(results))) {
    let text = readFileSync(page, 'utf8');
    for (const [mark, block] of Object.entries(blocks))
      text = text.replace(between(mark), () => marked(mark, block));
    writeFileSync(page, text);
  }
}

/** A block with its marks, as it stands on a page. */
export function marked(mark, block) {
  return `<!-- bench: ${mark} -->\n\n${block}\n\n<!-- end of ${mark} -->`;
}

function between(mark) {
  return new RegExp(`<!-- bench: ${mark} -->[^]*?<!-- end of ${mark} -->`);
}

function runOf([name, { at, load, rounds, seconds }]) {
  return `- ${name}: ${at.slice(0, 10)}, ${rounds} rounds of ${seconds} s, load average before it ${load.toFixed(1)}`;
}
