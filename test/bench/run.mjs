// npm run bench [-- --rounds 5 --seconds 4 --only get,set,… --largest 10000000 --node program --json file --plot file --show]
//
// The built server beside its peers, on this machine and in one run. A figure is processor time, user and system, of all
// processes of a side by /proc, divided by requests; or wall time, of one long stream. Sides alternate, A B A B: on a
// machine with other work figures swing, while ratios of neighbours hold. Server and load are pinned to different
// processors. What is not installed is skipped, and the table says so. With --show the tables of the README and of
// docs/performance.md are written anew. --node names another Node, for the contest `nodes`.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { growth } from './growth.mjs';
import { show } from './pages.mjs';
import { plot } from './plot.mjs';
import { isInstalled } from './processes.mjs';
import { growthTables, table } from './report.mjs';
import { batch, engines, get, gets, nodes, put, set, tls, tokens, workers } from './requests.mjs';
import { otherNode } from './sides.mjs';
import { start } from './start.mjs';
import { exporting, importing } from './streams.mjs';
import { turns } from './turns.mjs';
import { watching } from './watching.mjs';

const CONTESTS = {
  get,
  set,
  put,
  batch,
  gets,
  tokens,
  nodes,
  import: importing,
  export: exporting,
  growth,
  workers,
  tls,
  watch: watching,
  turns,
  start,
  engines,
};
const NEEDED = { wrk: 'wrk', taskset: 'util-linux', setpriv: 'util-linux', curl: 'curl' };
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    only: { type: 'string' },
    largest: { type: 'string', default: '10000000' },
    json: { type: 'string', default: here('results.json') },
    show: { type: 'boolean', default: false },
    node: { type: 'string' },
    plot: { type: 'string', default: here('../../docs/performance.svg') },
  },
});
const names = options.only?.split(',') ?? Object.keys(CONTESTS);
const [rounds, seconds, largest] = ['rounds', 'seconds', 'largest'].map((name) => Number(options[name]));

refuse(
  names.find((name) => !CONTESTS[name]),
  (name) => `There is no contest ${name}; there are ${Object.keys(CONTESTS).join(', ')}.`,
);
refuse(
  [rounds, seconds, largest].find((number) => !(number >= 1)),
  () => 'Rounds, seconds and largest are numbers from 1.',
);
refuse(
  Object.keys(NEEDED).find((program) => !isInstalled(program)),
  (program) => `The benchmark needs ${program}; on Debian: apt-get install ${NEEDED[program]}`,
);
refuse(
  existsSync(here('../../dist/main.js')) ? undefined : 'dist',
  () => 'There is no build: npm run build.',
);

if (options.node)
  Object.assign(otherNode, { path: options.node, version: versionOf(options.node, ['--version'], /(\S+)/) });

const root = mkdtempSync(join(tmpdir(), 'pigeonhole-bench-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));

const results = existsSync(options.json) ? JSON.parse(readFileSync(options.json, 'utf8')) : {};
Object.assign(results, { machine: machine(), contests: results.contests ?? {} });
for (const name of names) {
  const began = { at: new Date().toISOString(), load: loadavg()[0], rounds, seconds };
  const keep = (what, value) => (results[what] = value);
  const progress = (...words) => say(`${name}: ${words.join(', ')}`);
  const rows = await CONTESTS[name]({ root, rounds, seconds, largest, progress, keep });
  say('');
  results.contests[name] = { ...began, rows };
  console.log(table([rows], name === names[0]));
}
results.contests = Object.fromEntries(
  Object.keys(CONTESTS).flatMap((name) => (results.contests[name] ? [[name, results.contests[name]]] : [])),
);
writeFileSync(options.json, `${JSON.stringify(results, null, 1)}\n`);
if (results.growth) {
  console.log(`\n${growthTables(results.growth)}`);
  writeFileSync(options.plot, plot(results.growth));
}
if (options.show) show(results);
console.log(
  `\n${Object.entries(results.machine)
    .map(([what, value]) => `${what} ${value}`)
    .join(', ')}; ${rounds} rounds of ${seconds} s`,
);
process.exit();

function refuse(what, words) {
  if (what === undefined) return;
  console.error(words(what));
  process.exit(2);
}

function say(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r${text}\x1b[K`);
}

function machine() {
  return {
    processor: cpus()[0].model,
    processors: cpus().length,
    'memory, GiB': Math.round(totalmem() / 2 ** 30),
    linux: release(),
    node: process.version,
    wrk: versionOf('wrk', ['-v'], /wrk (?:debian\/)?(\S+)/),
    redis: versionOf('redis-server', ['--version'], /v=(\S+)/),
    webdis: versionOf('dpkg-query', ['-W', '-f', '${Version}', 'webdis'], /(\S+)/),
    etcd: versionOf('etcd', ['--version'], /etcd Version: (\S+)/),
  };
}

function versionOf(program, args, pattern) {
  try {
    return pattern.exec(execFileSync(program, args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString())?.[1];
  } catch (error) {
    return pattern.exec(String(error.stdout ?? ''))?.[1];
  }
}
