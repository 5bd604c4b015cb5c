// node test/bench/scale-out.mjs [--entries 100000] [--rounds 3] [--seconds 3]
//
// What each operation takes of Pigeonhole's processor and of those of Redis, on a cluster of three primaries with 256
// partitions: the figures of docs/growth.mjs. Processor time by /proc, less what both take when nothing is asked, divided by
// what was done; the median of the rounds.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { fill, luaKeyOf, textOrCounterOf } from './entries.mjs';
import { ALL_CORES, cpuOf, memoryOf, run } from './processes.mjs';
import { median } from './rows.mjs';
import { Side } from './sides.mjs';
import { fresh, load } from './wrk.mjs';

const { values: options } = parseArgs({
  options: {
    entries: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
  },
});
const [entries, rounds, secondsEach] = ['entries', 'rounds', 'seconds'].map((name) => Number(options[name]));
const CONNECTIONS = 16;
const PRIMARIES = 3;
const any = luaKeyOf(`math.random(0, ${entries - 1})`);
const text = luaKeyOf(`10 * math.random(0, ${entries / 10 - 1}) + math.random(1, 9)`);
const counter = luaKeyOf(`10 * math.random(0, ${entries / 10 - 1})`);
const request = (method, path, body = 'nil') => fresh(`wrk.format('${method}', ${path}, nil, ${body})`);
const OPERATIONS = {
  GET: request('GET', `'/kv/' .. ${any}`),
  PUT: request('PUT', `'/kv/' .. ${text}`, `string.rep('v', 100)`),
  'PATCH ?incr=1': request('PATCH', `'/kv/' .. ${counter} .. '?incr=1'`),
  'page of 100': request('GET', `'/kv?limit=100&after=' .. ${any}`),
  'prefix of ten': request('GET', `'/kv?prefix=' .. string.sub(${any}, 1, -2)`),
  'prefix of nothing': request('GET', `'/kv?prefix=nothing'`),
  'count, with a page of 1': request('GET', `'/kv?limit=1&count=true'`),
};

const root = mkdtempSync(join(tmpdir(), 'pigeonhole-bench-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
const side = await Side.start('pigeonhole on a cluster', root, { cores: ALL_CORES });
await side.listens();
const used = () => side.children.map(({ pid }) => cpuOf(pid));
const memory = () => side.children.slice(0, PRIMARIES).reduce((sum, { pid }) => sum + memoryOf(pid), 0);

const figures = new Map();
const before = { used: used(), memory: await dataset() };
await fill(side, entries, textOrCounterOf);
note('entry of an import', spent(before.used, used()), entries);
const [grown, rss] = [(await dataset()) - before.memory, memory()];
const idle = await idling();
for (let round = 0; round < rounds; round++) {
  for (const [name, lua] of Object.entries(OPERATIONS)) {
    const [start, began] = [used(), performance.now()];
    const { things } = await load(side, lua, {
      root,
      seconds: secondsEach,
      seed: round,
      connections: CONNECTIONS,
      cores: ALL_CORES,
    });
    const passed = (performance.now() - began) / 1000;
    const [own, redis] = spent(start, used());
    note(name, [own - idle[0] * passed, redis - idle[1] * passed], things);
  }
}
console.log('| | Pigeonhole, µs | Redis, µs | rounds |\n|---|---:|---:|---|');
for (const [name, runs] of figures) {
  const [own, redis] = [0, 1].map((which) => median(runs.map((each) => each[which])).toFixed(0));
  const spread = runs.map((each) => each.map((figure) => figure.toFixed(0)).join(' + ')).join(', ');
  console.log(`| ${name} | ${own} | ${redis} | ${spread} |`);
}
console.log(`\nidle, µs a second: Pigeonhole ${idle[0].toFixed(0)}, Redis ${idle[1].toFixed(0)}`);
console.log(
  `memory: ${(grown / entries).toFixed(0)} bytes of data an entry; ${rss} bytes of all primaries' own in all`,
);
await side.stop();
process.exit();

/** Of Pigeonhole, and of all primaries together, µs. */
function spent(start, end) {
  const each = end.map((time, i) => time - start[i]);
  return [each.at(-1), each.slice(0, PRIMARIES).reduce((sum, time) => sum + time, 0)];
}

function note(name, times, things) {
  figures.set(name, [...(figures.get(name) ?? []), times.map((time) => time / things)]);
}

async function idling() {
  await pause(1000);
  const [start, began] = [used(), performance.now()];
  await pause(4000);
  const passed = (performance.now() - began) / 1000;
  return spent(start, used()).map((time) => time / passed);
}

/** What the entries and the log take of the primaries, bytes. */
async function dataset() {
  let bytes = 0;
  for (const port of side.ownPorts.slice(0, PRIMARIES)) {
    const info = await run('redis-cli', ['-p', port, 'INFO', 'memory'].map(String), { cores: ALL_CORES });
    bytes += Number(/used_memory_dataset:(\d+)/.exec(info)[1]);
  }
  return bytes;
}
