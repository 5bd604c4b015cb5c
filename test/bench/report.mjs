// The table, as Markdown.
import { byName, reached } from './rows.mjs';

const HEAD = '| work | beside | ours | theirs | ratio (lowest to highest) | targets | |';
const MARKS = ['missed', 'reached', 'reached, both'];

/** `contests` are lists of rows. */
export function table(contests, withHead = true) {
  const head = withHead ? [HEAD, '|---|---|---:|---:|---|---|---|'] : [];
  return [...head, ...contests.flat().map(lineOf)].join('\n');
}

/** A few rows for those who only want to know about where it stands. */
export function briefTable(rows) {
  const head = ['| one request | Pigeonhole | compared with | takes | ratio |', '|---|---:|---|---:|---:|'];
  const line = ({ work, against, unit, ours, theirs, ratio }) =>
    `| ${work} | ${short(ours)} ${unit} | ${against} | ${short(theirs)} ${unit} | ${short(ratio)} |`;
  return [...head, ...rows.map(line)].join('\n');
}

function lineOf(row) {
  const { work, against = '', unit, ours, theirs, ratio, spread, skipped } = row;
  if (skipped) return `| ${work} | ${against} | | | skipped: ${skipped} | ${targets(row)} | |`;
  const compared = ratio === undefined ? '' : short(ratio);
  const cells = [
    work,
    against,
    `${short(ours)} ${unit}${partsOf(row, 0)}`,
    theirs === undefined ? '' : `${short(theirs)} ${unit}${partsOf(row, 1)}`,
    `${compared} (${spread.map(short).join(' to ')})`.trim(),
    targets(row),
    MARKS[reached(row)] ?? '',
  ];
  return `| ${cells.join(' | ')} |`;
}

/** The system's part of the processor time, and what was written to files, of one side of a row. */
function partsOf({ unit, system, written }, side) {
  if (!unit?.endsWith('CPU') || !system) return '';
  const kilobytes = written[side] >= 1 ? `, ${short(written[side] / 1000)} KB written` : '';
  return `, ${short(system[side])} of it system${kilobytes}`;
}

function targets({ reach, aim, atLeast }) {
  if (reach === undefined) return '';
  const relation = atLeast ? '≥' : '≤';
  return reach === aim ? `${relation} ${short(reach)}` : `${relation} ${short(reach)}, then ${short(aim)}`;
}

/** Three digits that count. */
export function short(number) {
  if (number >= 100) return Math.round(number).toLocaleString('en');
  return String(Number(number.toPrecision(number >= 10 ? 3 : 2)));
}

/** How costs grow: a table by keys and one by connections. */
export function growthTables({ keys, connections }) {
  return [growthTable(keys, 'keys'), growthTable(connections, 'connections')].join('\n\n');
}

function growthTable(points, by) {
  const columns = [...new Set(points.map((point) => point[by]))].toSorted((a, b) => a - b);
  const lines = [...byName(points)].map(([name, own]) => {
    const cells = columns.map((column) => short(own.find((point) => point[by] === column).cpu));
    return `| ${name} | ${cells.join(' | ')} |`;
  });
  return [
    `| µs CPU, ${by} | ${columns.map((column) => column.toLocaleString('en')).join(' | ')} |`,
    `|---|${columns.map(() => '---:').join('|')}|`,
    ...lines,
  ].join('\n');
}
