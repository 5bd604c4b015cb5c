// What watching costs: `npm run build && node test/bench/watch.mjs`. SECONDS=60 WATCHERS=1000 MANY=2000 ROUNDS=4
import { fork, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const SECONDS = Number(process.env.SECONDS ?? 60);
const WATCHERS = Number(process.env.WATCHERS ?? 1000);
const MANY = Number(process.env.MANY ?? 2000);
const ROUNDS = Number(process.env.ROUNDS ?? 4);
const RATE = 100;
const ROUND_MS = 4000;
const TICKS_A_SECOND = 100;
const MAIN = join(import.meta.dirname, '..', '..', 'dist', 'main.js');

/** Runs in a process of its own, so that its work is not the server's: holds watchers, counts what they are told. */
function clients() {
  let sockets = [];
  let delays = [];
  let events = 0;
  const watch = (port, path) =>
    new Promise((resolve, reject) => {
      const headers = { Accept: 'text/event-stream' };
      const request = http.get({ host: '127.0.0.1', port, path, headers, agent: false }, (response) => {
        if (response.statusCode !== 200) return reject(new Error(`answered ${response.statusCode}`));
        let rest = '';
        response.setEncoding('latin1').on('data', (text) => {
          const now = Date.now();
          const blocks = (rest + text).split('\n\n');
          rest = blocks.pop();
          for (const block of blocks) {
            if (block.includes('event: ready')) resolve();
            const sent = /"value":"at=([0-9]+)"/.exec(block);
            if (!sent) continue;
            events++;
            delays.push(now - Number(sent[1]));
          }
        });
        response.on('error', () => undefined);
      });
      request.on('error', reject);
      sockets.push(request);
    });
  process.on('message', async ({ port, path, count, drop, report }) => {
    if (count) {
      for (let open = 0; open < count; open += 50)
        await Promise.all(Array.from({ length: Math.min(50, count - open) }, () => watch(port, path)));
    }
    if (drop) {
      for (const request of sockets) request.on('error', () => undefined).destroy();
      sockets = [];
    }
    delays.sort((a, b) => a - b);
    const at = (share) => delays[Math.min(delays.length - 1, Math.floor(delays.length * share))];
    process.send({ events, p50: at(0.5), p99: at(0.99), max: at(1) });
    if (report) [delays, events] = [[], 0];
  });
}

function forkClients() {
  const child = fork(import.meta.filename, ['clients']);
  children.push(child);
  return child;
}

function ask(child, question) {
  return new Promise((resolve) => {
    child.once('message', resolve);
    child.send(question);
  });
}

const children = [];
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));

async function start(settings = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'pigeonhole-bench-'));
  const command = ['taskset', '-c', '0', process.execPath, MAIN];
  const child = spawn(command[0], command.slice(1), {
    env: { PATH: process.env.PATH, PORT: '0', DATABASE_URL: `lmdb:${join(folder, 'data')}`, ...settings },
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const port = await new Promise((resolve) => {
    let out = '';
    child.stdout.on('data', (data) => {
      const found = /Listening on http:\/\/[^\s"]*:(\d+)/.exec((out += data));
      if (found) resolve(Number(found[1]));
    });
  });
  const exit = new Promise((resolve) => child.on('exit', resolve));
  const end = async () => {
    child.kill('SIGKILL');
    await exit;
    rmSync(folder, { recursive: true, force: true });
  };
  return { pid: child.pid, port, end };
}

/** Seconds of processor time that the process has used. */
function cpuOf({ pid }) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

function memoryOf({ pid }, name) {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]) / 1024);
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });

function put(port, key, body) {
  return new Promise((resolve, reject) => {
    const question = {
      host: '127.0.0.1',
      port,
      path: `/kv/${encodeURIComponent(key)}`,
      method: 'PUT',
      agent,
    };
    const request = http.request(question, (response) => response.resume().on('end', resolve));
    request.on('error', reject);
    request.end(body);
  });
}

async function measure() {
  const load = loadavg()[0].toFixed(2);
  console.log(`machine: ${cpus().length} processors, load before ${load}; node ${process.version}`);
  await fanOut();
  await costOfPut();
  await comeAndGo();
  agent.destroy();
}

/** Many watchers of one prefix. */
async function fanOut() {
  const server = await start({ MAX_WATCHERS: String(WATCHERS + 10) });
  const watchers = forkClients();
  await ask(watchers, { port: server.port, path: '/kv?prefix=user/', count: WATCHERS });
  const before = cpuOf(server);
  const begin = performance.now();
  let writes = 0;
  const pending = [];
  while (writes < SECONDS * RATE) {
    const due = Math.min(SECONDS * RATE, Math.floor(((performance.now() - begin) / 1000) * RATE));
    for (; writes < due; writes++) pending.push(put(server.port, `user/${writes % 100}`, `at=${Date.now()}`));
    await pause(5);
  }
  await Promise.all(pending);
  const seconds = (performance.now() - begin) / 1000;
  const cpu = cpuOf(server) - before;
  await pause(2000);
  const { events, p50, p99, max } = await ask(watchers, { report: true });
  const share = ((100 * cpu) / seconds).toFixed(0);
  console.log(
    `fan-out: ${WATCHERS} watchers, ${writes} writes in ${seconds.toFixed(1)} s: ${events} of ${writes * WATCHERS} events; ` +
      `delay p50 ${p50} ms, p99 ${p99} ms, max ${max} ms; server ${share} % of a processor, ` +
      `${((cpu * 1e6) / events).toFixed(2)} µs an event, RSS ${memoryOf(server, 'VmRSS')} MiB`,
  );
  watchers.kill();
  await server.end();
}

/** CPU of a durable PUT while nobody, one, or many watch something else. */
async function costOfPut() {
  const server = await start({ MAX_WATCHERS: String(WATCHERS + 10) });
  const watchers = forkClients();
  const held = [0, 1, WATCHERS];
  const costs = held.map(() => []);
  const round = async () => {
    const before = cpuOf(server);
    const end = performance.now() + ROUND_MS;
    let puts = 0;
    const lane = async (name) => {
      while (performance.now() < end) {
        await put(server.port, `written/${name}/${puts % 1000}`, 'value');
        puts++;
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, i) => lane(i)));
    return { cost: ((cpuOf(server) - before) * 1e6) / puts };
  };
  await round();
  for (let i = 0; i < ROUNDS; i++) {
    for (const [j, count] of held.entries()) {
      if (count > 0) await ask(watchers, { port: server.port, path: '/kv?prefix=other/', count });
      await pause(200);
      costs[j].push((await round()).cost);
      await ask(watchers, { drop: true });
      await pause(500);
    }
  }
  for (const [j, count] of held.entries()) {
    const all = costs[j].toSorted((a, b) => a - b);
    const median = (all[(all.length - 1) >> 1] + all[all.length >> 1]) / 2;
    console.log(
      `put: ${count} watchers elsewhere: median ${median.toFixed(1)} µs CPU a PUT (${all.map((each) => each.toFixed(1)).join(', ')})`,
    );
  }
  watchers.kill();
  await server.end();
}

/** Memory of many that come and go. */
async function comeAndGo() {
  const server = await start({ MAX_WATCHERS: '3000' });
  const watchers = forkClients();
  const line = [];
  for (let i = 0; i < 3; i++) {
    const before = memoryOf(server, 'RssAnon');
    await ask(watchers, { port: server.port, path: '/kv?prefix=user/', count: MANY });
    const peak = memoryOf(server, 'RssAnon');
    await ask(watchers, { drop: true });
    await pause(5000);
    line.push(`${before} → ${peak} → ${memoryOf(server, 'RssAnon')}`);
  }
  console.log(`come and go: ${MANY} watchers, RssAnon MiB before → peak → 5 s after: ${line.join('; ')}`);
  watchers.kill();
  await server.end();
}

if (process.argv[2] === 'clients') clients();
else await measure();
