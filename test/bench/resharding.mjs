// node test/bench/resharding.mjs [--keys 100000] [--at-once 10] [--interrupt]
//
// What is out, and for how long, while one slot with so many keys moves from one of three primaries to another, as
// `redis-cli --cluster reshard` moves it: MIGRATE of `--at-once` keys, one call after the other. All keys have one {tag}, so
// that they are a whole partition. With --interrupt it stops half-way, and `redis-cli --cluster fix` ends it.
import { createClient } from '@redis/client';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ALL_CORES, run } from './processes.mjs';
import { Side } from './sides.mjs';

const { values: options } = parseArgs({
  options: {
    keys: { type: 'string', default: '100000' },
    'at-once': { type: 'string', default: '10' },
    interrupt: { type: 'boolean', default: false },
  },
});
const [keys, atOnce] = [Number(options.keys), Number(options['at-once'])];
const PRIMARIES = 3;
const SLOTS = 16_384;
const PARTITIONS = 256;
const TAG = '{moved}';
const OTHERS = 1000;
const IMPORTED_AT_ONCE = 20_000;
const PROBE_EVERY_MS = 25;
const REST_MS = 3000;
const MIGRATE_TIMEOUT_MS = '600000';

/** What users do meanwhile. */
const PROBES = {
  'read a key of the slot': () => [`/kv/${TAG}${number(keys)}`],
  'write a key of the slot': () => [`/kv/${TAG}${number(keys)}`, put()],
  'page of the slot': () => [`/kv?prefix=${TAG}&limit=10`],
  'page of all': () => ['/kv?limit=10'],
  'count of all': () => ['/kv?limit=1&count=true'],
  'read another key': () => [`/kv/other${number(OTHERS)}`],
  'write another key': () => [`/kv/other${number(OTHERS)}`, put()],
};
const number = (below) => String(Math.floor(Math.random() * below)).padStart(9, '0');
const put = () => ({ method: 'PUT', body: 'v' });

const root = mkdtempSync(join(tmpdir(), 'pigeonhole-bench-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
const side = await Side.start('pigeonhole on a cluster', root, { cores: ALL_CORES });
await side.listens();
await fill();
const nodes = await Promise.all(side.ownPorts.slice(0, PRIMARIES).map(connectTo));
const slot = await fullestSlot();
const from = nodes.find(({ held }) => held === slot.keys);
const to = nodes.find((node) => node !== from);

const watched = Object.entries(PROBES).map(([name, make]) => probe(name, make));
await pause(REST_MS);
const moved = await move();
await pause(REST_MS);
for (const each of watched) each.stop();
await Promise.all(watched.map(({ ended }) => ended));
console.log(
  `\nslot ${slot.slot}: ${slot.keys} Redis keys, ${atOnce} in a MIGRATE, ${seconds(moved.all)} in all`,
);
console.log(`the index of ${keys} keys alone: ${moved.index.toFixed(0)} ms, ${moved.bytes} bytes of memory`);
console.log(`any other MIGRATE: ${moved.longest.toFixed(0)} ms at most`);
report();
if (options.interrupt) await mend();
await side.stop();
process.exit();

/** Ends the move as an operator would. `fix` makes the new server the owner before it has all keys. */
async function mend() {
  const begin = performance.now();
  await run('redis-cli', ['--cluster', 'fix', `127.0.0.1:${from.port}`, '--cluster-yes']);
  const held = await to.send('CLUSTER', 'COUNTKEYSINSLOT', slot.slot);
  const time = seconds(performance.now() - begin);
  console.log(`\nredis-cli --cluster fix: ${time}, ${held} of ${slot.keys} Redis keys`);
}

async function fill() {
  await importing(OTHERS, 'other');
  for (let i = 0; i < keys; i += IMPORTED_AT_ONCE)
    await importing(Math.min(IMPORTED_AT_ONCE, keys - i), TAG, i);
}

/** Imports the keys `start` with numbers from `first` on. */
async function importing(count, start, first = 0) {
  const lines = Array.from({ length: count }, (_, i) => {
    const key = start + String(first + i).padStart(9, '0');
    return `{"key":"${key}","value":"v"}\n`;
  });
  const headers = { 'Content-Type': 'application/x-ndjson' };
  const response = await side.ask('/kv', { method: 'POST', headers, body: lines.join('') });
  const said = await response.json();
  if (said.created !== count) throw new Error(`the import failed: ${JSON.stringify(said).slice(0, 500)}`);
}

async function connectTo(port) {
  const client = await createClient({ RESP: 2, socket: { port, socketTimeout: undefined } })
    .on('error', () => undefined)
    .connect();
  const send = (...args) => client.sendCommand(args.map(String));
  return { port, send, id: await send('CLUSTER', 'MYID') };
}

async function fullestSlot() {
  let found = { keys: 0 };
  for (const node of nodes) {
    node.held = 0;
    for (let slot = 0; slot < SLOTS; slot += SLOTS / PARTITIONS) {
      const count = await node.send('CLUSTER', 'COUNTKEYSINSLOT', slot);
      node.held = Math.max(node.held, count);
      if (count > found.keys) found = { slot, keys: count };
    }
  }
  return found;
}

/** Moves the slot; half of its keys with --interrupt. */
async function move() {
  const begin = performance.now();
  await to.send('CLUSTER', 'SETSLOT', slot.slot, 'IMPORTING', from.id);
  await from.send('CLUSTER', 'SETSLOT', slot.slot, 'MIGRATING', to.id);
  const times = { index: 0, longest: 0, bytes: 0 };
  const migrate = async (names) => {
    const start = performance.now();
    const where = ['MIGRATE', '127.0.0.1', to.port, '', '0', MIGRATE_TIMEOUT_MS];
    await from.send(...where, 'KEYS', ...names);
    return performance.now() - start;
  };
  for (let left = options.interrupt ? slot.keys / 2 : Infinity; left > 0; left -= atOnce) {
    const names = await from.send('CLUSTER', 'GETKEYSINSLOT', slot.slot, atOnce);
    if (names.length === 0) break;
    const index = names.find((name) => name.endsWith('}i'));
    if (index) {
      times.bytes = await from.send('MEMORY', 'USAGE', index, 'SAMPLES', '0');
      times.index = await migrate([index]);
    }
    const others = names.filter((name) => name !== index);
    if (others.length > 0) times.longest = Math.max(times.longest, await migrate(others));
  }
  if (!options.interrupt)
    for (const node of [to, from]) await node.send('CLUSTER', 'SETSLOT', slot.slot, 'NODE', to.id);
  return { ...times, all: performance.now() - begin };
}

/** Does one thing again and again, and notes for how long it did not succeed. */
function probe(name, make) {
  const seen = { name, count: 0, failed: {}, slowest: 0, longestGap: 0, lastSuccess: performance.now() };
  let stopped = false;
  seen.stop = () => (stopped = true);
  seen.ended = (async () => {
    while (!stopped) {
      const begin = performance.now();
      const status = await statusOf(...make());
      const end = performance.now();
      seen.count++;
      seen.slowest = Math.max(seen.slowest, end - begin);
      if (status < 300) {
        seen.longestGap = Math.max(seen.longestGap, end - seen.lastSuccess);
        seen.lastSuccess = end;
      } else seen.failed[status] = (seen.failed[status] ?? 0) + 1;
      await pause(PROBE_EVERY_MS);
    }
  })();
  return seen;
}

async function statusOf(path, request) {
  try {
    const response = await side.ask(path, request);
    await response.arrayBuffer();
    return response.status;
  } catch {
    return 599;
  }
}

function report() {
  for (const { name, count, failed, slowest, longestGap, lastSuccess } of watched) {
    const out = Math.max(longestGap, performance.now() - lastSuccess);
    const words = Object.entries(failed).map(([status, times]) => `${times} × ${status}`);
    const failures = words.join(', ') || 'none failed';
    console.log(
      `${name.padEnd(24)} ${count} asked, ${failures}; slowest ${seconds(slowest)}; longest without success ${seconds(out)}`,
    );
  }
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(2)} s`;
}
