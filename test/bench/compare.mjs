// CPU a request of the built server beside a bare node:http server and a stock Nest application, all over the same load.
//
//   node test/bench/compare.mjs [--rounds 5] [--seconds 4] [--work get,set,kv-get,kv-put,batch]
//
// Each round runs every side once, A B C A B C …, because a shared machine drifts: quote the ratios. CPU is user and system
// time of the server's process by /proc, divided by requests. Server and load (wrk) are pinned to different cores.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    work: { type: 'string', default: 'get,set' },
    server: { type: 'string', default: fileURLToPath(new URL('../../dist/main.js', import.meta.url)) },
  },
});
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pigeonhole-bench-'));

const SIDES = {
  pigeonhole: { file: values.server, works: ['get', 'set', 'kv-get', 'kv-put', 'batch'] },
  'bare node:http + Map': { file: here('servers/bare.mjs'), works: ['get', 'set', 'kv-get', 'kv-put'] },
  'stock Nest + Map': { file: here('servers/stock-nest.mjs'), works: ['get', 'set'] },
};
const WORKS = {
  get: { path: '/get?key=somekey' },
  'kv-get': { path: '/get?key=somekey', ours: '/kv/somekey' },
  set: { script: `wrk.format('GET','/set?k'..math.random(1,1000000000)..'=v'..math.random(1,1000000))` },
  'kv-put': {
    script: `wrk.format('GET','/set?k'..math.random(1,1000000000)..'=v'..math.random(1,1000000))`,
    ours: `wrk.format('PUT','/kv/k'..math.random(1,1000000000),nil,'v'..math.random(1,1000000))`,
  },
  batch: {
    ours: `(function() local ops={} for i=1,100 do ops[i]='{"op":"put","key":"k'..math.random(1,1000000000)..'","value":"v'..math.random(1,1000000)..'"}' end return wrk.format('POST','/batch',{['Content-Type']='application/json'},'{"ops":['..table.concat(ops,',')..']}') end)()`,
    each: 100,
  },
};

for (const program of ['wrk', 'taskset']) {
  try {
    execFileSync('which', [program]);
  } catch {
    console.error(`The benchmark needs ${program}; on Debian: apt-get install wrk util-linux`);
    process.exit(1);
  }
}

let port = 4600;
const servers = new Map();
const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

async function start(name, file) {
  const its = ++port;
  const env = { ...process.env, PORT: String(its), DATABASE_URL: `lmdb:${join(folder, String(its))}` };
  const child = spawn('taskset', ['-c', '0', process.execPath, file], { env, stdio: 'ignore' });
  servers.set(name, { child, port: its });
  for (let i = 0; i < 200; i++) {
    try {
      execFileSync('curl', ['-sf', `http://127.0.0.1:${its}/set?somekey=somevalue`], { stdio: 'ignore' });
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error(`${name} did not start`);
}

function ticks(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

function load(name, { path, script, ours, each = 1 }) {
  const { child, port: its } = servers.get(name);
  const mine = name === 'pigeonhole' ? (ours ?? script ?? path) : (script ?? path);
  const isScript = mine.includes('wrk.format');
  const lua = join(folder, 'load.lua');
  if (isScript)
    writeFileSync(lua, `math.randomseed(${Date.now() % 1e6})\nrequest=function() return ${mine} end\n`);
  const before = ticks(child.pid);
  const args = [
    '-c',
    '1',
    'wrk',
    '-t1',
    '-c64',
    `-d${values.seconds}s`,
    '--latency',
    ...(isScript ? ['-s', lua] : []),
  ];
  const out = execFileSync('taskset', [
    ...args,
    `http://127.0.0.1:${its}${isScript ? '/' : mine}`,
  ]).toString();
  const used = (ticks(child.pid) - before) * 10_000;
  const requests = Number(/(\d+) requests in/.exec(out)[1]) * each;
  if (/Non-2xx/.test(out)) throw new Error(`${name}: ${out.match(/Non-2xx.*/)[0]}`);
  return {
    cpu: used / requests,
    rate: (Number(/Requests\/sec:\s+([\d.]+)/.exec(out)[1]) * each) | 0,
    p99: /99%\s+(\S+)/.exec(out)[1],
  };
}

try {
  for (const [name, { file }] of Object.entries(SIDES)) if (existsSync(file)) await start(name, file);
  console.log(
    `${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}, ${values.rounds} rounds of ${values.seconds} s, 64 connections`,
  );
  console.log(
    '| work | side | µs CPU each | each a second | p99 | ratio of CPU, ours to theirs |\n|---|---|---|---|---|---|',
  );
  for (const work of values.work.split(',')) {
    const sides = Object.keys(SIDES).filter((name) => SIDES[name].works.includes(work));
    const runs = Object.fromEntries(sides.map((name) => [name, []]));
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const name of sides) runs[name].push(load(name, WORKS[work]));
    }
    for (const name of sides) {
      const ratios = runs[name].map(({ cpu }, i) => runs.pigeonhole[i].cpu / cpu);
      const spread =
        name === 'pigeonhole'
          ? ''
          : `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`;
      const cpu = median(runs[name].map((run) => run.cpu)).toFixed(1);
      const rate = median(runs[name].map((run) => run.rate));
      console.log(
        `| ${work} | ${name} | ${cpu} | ${rate} | ${runs[name].map(({ p99 }) => p99).join(' ')} | ${spread} |`,
      );
    }
  }
} finally {
  for (const { child } of servers.values()) child.kill();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
