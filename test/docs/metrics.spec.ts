import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parser } from '@prometheus-io/lezer-promql';
import { readFileSync } from 'node:fs';
import { certificate } from '../support/certificates.js';
import { askOverTls } from '../support/https.js';
import { Scrape } from '../support/metrics.js';
import { startServer, type ServerProcess } from '../support/server.js';

/* What docs/operations ships for Prometheus and Grafana, held against what the server shows. */

const textOf = (name: string) => readFileSync(`docs/operations/${name}`, 'utf8');

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

const { panels } = JSON.parse(textOf('grafana-dashboard.json')) as { panels: readonly Panel[] };

/** Expressions by what they are for, with an interval in the place of Grafana's. */
const EXPRESSIONS: [string, string][] = [
  ...panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ refId, expr }): [string, string] => [
      `panel ${title}, ${refId}`,
      expr.replaceAll('$__rate_interval', '5m'),
    ]),
  ),
  ...[
    ...textOf('alerts.yml').matchAll(/- alert: (\w+)\n\s+expr: (?:>-\n)?([^]*?)\n {8}(?:for|labels):/g),
  ].map(([, name, expr]): [string, string] => [`alert ${name}`, expr!]),
];
/** Labels that Prometheus adds. */
const OF_PROMETHEUS = ['instance', 'job'];

let server: ServerProcess;
let shown: Scrape;
beforeAll(async () => {
  const { cert, key } = certificate();
  server = await startServer({ TLS_CERT: cert, TLS_KEY: key });
  const tls = { rejectUnauthorized: false };
  await askOverTls(server.port, '/get?key=a', tls);
  shown = new Scrape((await askOverTls(server.port, '/metrics', tls)).text);
});
afterAll(() => server.end());

/** Returns the texts of some kinds of nodes in an expression. */
function partsOf(expression: string, ...kinds: string[]): string[] {
  const found: string[] = [];
  parser.parse(expression).iterate({
    enter: ({ name, from, to }) => {
      if (kinds.includes(name)) found.push(expression.slice(from, to));
    },
  });
  return found;
}

test('there are expressions', () => {
  expect(EXPRESSIONS.length).toBeGreaterThan(50);
});

describe.each(EXPRESSIONS)('the expression of %s', (_, expression) => {
  test('is one, of metrics and labels that there are', () => {
    expect(partsOf(expression, '⚠')).toEqual([]);
    const names = partsOf(expression, 'Identifier').filter((name) => name !== 'up');
    expect(names.filter((name) => !shown.names.has(name.replace(/_(?:bucket|sum|count)$/, '')))).toEqual([]);
    const labels = new Set([
      ...shown.samples.flatMap((sample) => Object.keys(sample.labels)),
      ...OF_PROMETHEUS,
    ]);
    expect(partsOf(expression, 'LabelName').filter((label) => !labels.has(label))).toEqual([]);
  });
});

test('every alert has a line that says what it means and what to do', () => {
  const rules = [...textOf('alerts.yml').matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  const lines = [...textOf('alerts.md').matchAll(/^\| `(\w+)` \|[^|]{10,}\|[^|]{10,}\|$/gm)].map(
    ([, name]) => name,
  );
  expect(lines).toEqual(rules);
});

test('the table of metrics has all, and no other', () => {
  const rows = [...textOf('metrics.md').matchAll(/^\| (`pigeonhole_[^|]*) \|/gm)].map(([, names]) => names!);
  const documented = rows.flatMap((names) => [...names.matchAll(/`(\w+)/g)].map(([, name]) => name!));
  const own = [...shown.names].filter((name) => name.startsWith('pigeonhole_'));
  expect(documented.toSorted()).toEqual(own.toSorted());
});

test('the panels of the dashboard have numbers of their own and do not overlap', () => {
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
});
