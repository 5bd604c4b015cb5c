// `npm run bench`: the built server beside its peers, on this machine and in one run.
//
//   npm run bench -- [--rounds 5] [--seconds 4] [--only get,set,…] [--json results.json]
//
// A row names a work and the sides it is done by. Each round runs every side of the row once, A B C A B C …, because a shared
// machine drifts: quote the ratios. CPU is the user and system time of all processes of a side by /proc, divided by
// requests. Server and load (wrk) are pinned to different processors, except with several workers, which use all.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isInstalled, Running, SIDES } from './sides.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    only: { type: 'string' },
    json: { type: 'string' },
  },
});
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);
const ALL = `0-${cpus().length - 1}`;

/** The first side is compared with the others. */
const ROWS = [
  {
    work: 'get',
    sides: ['pigeonhole', 'bare node:http + Map', 'stock Nest + Map', 'webdis + redis', 'etcd gateway'],
  },
  { work: 'kv-get', sides: ['pigeonhole', 'bare node:http + Map', 'pigeonhole on redis'] },
  {
    work: 'set',
    sides: [
      'pigeonhole',
      'webdis + redis, appendfsync always',
      'webdis + redis',
      'etcd gateway',
      'stock Nest + Map',
    ],
  },
  {
    work: 'put',
    sides: ['pigeonhole', 'webdis + redis, appendfsync always', 'etcd gateway', 'pigeonhole on redis'],
  },
  { work: 'incr', sides: ['pigeonhole', 'pigeonhole on redis'] },
  { work: 'batch', sides: ['pigeonhole'], each: 100 },
  { work: 'get', sides: ['pigeonhole, 2 workers', 'pigeonhole'], name: 'get, workers', cores: ALL },
];

for (const program of ['wrk', 'taskset']) {
  if (isInstalled(program)) continue;
  console.error(`The benchmark needs ${program}; on Debian: apt-get install wrk util-linux`);
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), 'pigeonhole-bench-'));
const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
const results = [];
const running = new Set();
process.once('SIGINT', () => void endAll().then(() => process.exit(130)));

function load(side, work, each, cores) {
  const { path, lua } = side.requests[work];
  const args = ['-t1', '-c64', `-d${seconds}s`, '--latency'];
  if (lua) {
    const file = join(side.folder, 'load.lua');
    writeFileSync(file, `math.randomseed(${Date.now() % 1e6})\nrequest = function() return ${lua} end\n`);
    args.push('-s', file);
  }
  const before = side.cpu();
  const url = `http://127.0.0.1:${side.port}${path ?? '/'}`;
  const out = execFileSync('taskset', ['-c', cores, 'wrk', ...args, url]).toString();
  const used = side.cpu() - before;
  if (/Non-2xx/.test(out)) throw new Error(`${side.name}: ${out.match(/Non-2xx.*/)[0]}`);
  const requests = Number(/(\d+) requests in/.exec(out)[1]) * each;
  const rate = Math.round(Number(/Requests\/sec:\s+([\d.]+)/.exec(out)[1]) * each);
  return { cpu: used / requests, rate, p99: /99%\s+(\S+)/.exec(out)[1] };
}

async function measure({ work, sides, name = work, each = 1, cores }) {
  const missing = (side) => (SIDES[side].needs ?? []).find((program) => !isInstalled(program));
  for (const side of sides.filter(missing))
    console.log(`| ${name} | ${side} | skipped: ${missing(side)} is not installed ||||`);
  const started = [];
  try {
    for (const side of sides.filter((each_) => !missing(each_))) {
      const one = new Running(side, folder, cores ?? '0');
      running.add(one);
      started.push(await one.ready());
    }
    // What is compiled while it runs is compiled now.
    for (const side of started) load(side, work, each, cores ?? String(cpus().length - 1));
    const runs = started.map(() => []);
    for (let round = 0; round < rounds; round++) {
      for (const [i, side] of started.entries()) {
        if (process.stderr.isTTY)
          process.stderr.write(`\r${name}: round ${round + 1} of ${rounds}, ${side.name}\x1b[K`);
        runs[i].push(load(side, work, each, cores ?? String(cpus().length - 1)));
      }
    }
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    started.forEach((side, i) => tell(name, side, runs[i], runs[0], i === 0));
  } finally {
    for (const side of started) {
      await side.stop();
      running.delete(side);
    }
  }
}

function tell(work, side, runs, first, isFirst) {
  const ratios = runs.map(({ cpu }, i) => first[i].cpu / cpu);
  const result = {
    work,
    side: side.name,
    cpu: median(runs.map(({ cpu }) => cpu)),
    rate: median(runs.map(({ rate }) => rate)),
    p99: runs.map(({ p99 }) => p99),
    ratio: isFirst ? undefined : median(ratios),
    spread: isFirst ? undefined : [Math.min(...ratios), Math.max(...ratios)],
  };
  results.push(result);
  const ratio = isFirst
    ? ''
    : `${result.ratio.toFixed(2)} (${result.spread.map((each) => each.toFixed(2)).join(' to ')})`;
  console.log(
    `| ${work} | ${side.name} | ${result.cpu.toFixed(1)} | ${result.rate} | ${result.p99.join(' ')} | ${ratio} |`,
  );
}

/** What it takes until the port answers, and the memory two seconds later. */
async function footprint() {
  const sides = ['pigeonhole', 'stock Nest + Map'];
  const runs = sides.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, name] of sides.entries()) {
      const side = new Running(name, folder, '0');
      running.add(side);
      await side.ready();
      const cpu = side.cpu() / 1000;
      await new Promise((resolve) => setTimeout(resolve, 2000));
      runs[i].push({ cpu, memory: side.rssAnon() / 2 ** 20 });
      await side.stop();
      running.delete(side);
    }
  }
  for (const [i, side] of sides.entries()) {
    const [cpu, memory] = ['cpu', 'memory'].map((what) => median(runs[i].map((run) => run[what])));
    const [ofCpu, ofMemory] = ['cpu', 'memory'].map((what) =>
      median(runs[0].map((run, round) => run[what] / runs[i][round][what])),
    );
    results.push({ work: 'start', side, cpuMs: cpu, rssAnonMiB: memory, ratios: [ofCpu, ofMemory] });
    console.log(
      `| start, at rest | ${side} | ${cpu.toFixed(0)} ms CPU | RssAnon ${memory.toFixed(1)} MiB | | ${i === 0 ? '' : `${ofCpu.toFixed(2)}, ${ofMemory.toFixed(2)}`} |`,
    );
  }
}

async function endAll() {
  await Promise.all([...running].map((side) => side.stop().catch(() => undefined)));
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

function versionOf(program, args, pattern) {
  try {
    return pattern.exec(execFileSync(program, args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString())?.[1];
  } catch {
    return undefined;
  }
}

const machine = {
  processor: cpus()[0].model,
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  node: process.version,
  redis: versionOf('redis-server', ['--version'], /v=(\S+)/),
  etcd: versionOf('etcd', ['--version'], /etcd Version: (\S+)/),
  rounds,
  seconds,
};
try {
  console.log(
    Object.entries(machine)
      .map(([what, value]) => `${what} ${value}`)
      .join(', '),
  );
  console.log(
    '\n| work | side | µs CPU each | each a second | p99 | CPU, the first to this one |\n|---|---|---|---|---|---|',
  );
  const only = options.only?.split(',');
  for (const row of ROWS) if (!only || only.includes(row.name ?? row.work)) await measure(row);
  if (!only || only.includes('start')) await footprint();
  if (options.json) writeFileSync(options.json, `${JSON.stringify({ machine, results }, null, 2)}\n`);
} finally {
  await endAll();
}
