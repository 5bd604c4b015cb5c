// Who is measured: how each side is started, and what a request to it looks like.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const NODE = process.execPath;
/** Texts that a Lua program makes: a random key or value, which are base64 too, as etcd wants them. */
const KEY = `string.format('k%011d', math.random(0, 99999999999))`;
const VALUE = `string.format('v%011d', math.random(0, 99999999999))`;

const get = (path) => ({ path });
const lua = (text) => ({ lua: text });
const call = (method, path, body = 'nil', type = 'nil') =>
  lua(`wrk.format('${method}', ${path}, ${type}, ${body})`);
const JSON_TYPE = `{['Content-Type']='application/json'}`;

const OURS = {
  get: get('/get?key=somekey'),
  'kv-get': get('/kv/somekey'),
  set: call('GET', `'/set?' .. ${KEY} .. '=' .. ${VALUE}`),
  put: call('PUT', `'/kv/' .. ${KEY}`, VALUE),
  incr: call('PATCH', `'/kv/n' .. math.random(1, 100) .. '?incr=1'`),
  batch: lua(
    `(function() local ops = {} for i = 1, 100 do ops[i] = '{"op":"put","key":"' .. ${KEY} .. '","value":"' .. ${VALUE} .. '"}' end return wrk.format('POST', '/batch', ${JSON_TYPE}, '{"ops":[' .. table.concat(ops, ',') .. ']}') end)()`,
  ),
};
const PLAIN = { get: OURS.get, 'kv-get': OURS.get, set: OURS.set, put: OURS.set };
const WEBDIS = {
  get: get('/GET/somekey'),
  set: call('GET', `'/SET/' .. ${KEY} .. '/' .. ${VALUE}`),
};
const ETCD = {
  get: call('POST', `'/v3/kv/range'`, `'{"key":"c29tZWtleXkx"}'`, JSON_TYPE),
  set: call('POST', `'/v3/kv/put'`, `'{"key":"' .. ${KEY} .. '","value":"' .. ${VALUE} .. '"}'`, JSON_TYPE),
};

const ours = (settings = {}) => ({
  requests: OURS,
  run: ({ port, folder }) => [
    [NODE, [here('../../dist/main.js')], { PORT: port, DATABASE_URL: `lmdb:${folder}/data`, ...settings }],
  ],
});

const redis = (port, args) => ['redis-server', ['--port', String(port), '--save', '', ...args]];

function webdis(args) {
  return {
    needs: ['webdis', 'redis-server'],
    requests: { ...WEBDIS, 'kv-get': WEBDIS.get, put: WEBDIS.set },
    run: ({ port, folder }) => {
      const settings = {
        redis_host: '127.0.0.1',
        redis_port: port + 1,
        http_host: '127.0.0.1',
        http_port: port,
        threads: 1,
        pool_size: 20,
        daemonize: false,
        websockets: false,
        logfile: `${folder}/webdis.log`,
      };
      writeFileSync(`${folder}/webdis.json`, JSON.stringify(settings));
      return [redis(port + 1, args), ['webdis', [`${folder}/webdis.json`]]];
    },
  };
}

export const SIDES = {
  pigeonhole: ours(),
  'pigeonhole, 2 workers': ours({ WORKERS: '2' }),
  'pigeonhole on redis': {
    needs: ['redis-server'],
    requests: OURS,
    run: ({ port, folder }) => [
      redis(port + 1, ['--appendonly', 'yes']),
      [
        NODE,
        [here('../../dist/main.js')],
        { PORT: port, DATABASE_URL: `redis://127.0.0.1:${port + 1}`, cwd: folder },
      ],
    ],
  },
  'bare node:http + Map': {
    requests: PLAIN,
    run: ({ port }) => [[NODE, [here('servers/bare.mjs')], { PORT: port }]],
  },
  'stock Nest + Map': {
    requests: PLAIN,
    run: ({ port }) => [[NODE, [here('servers/stock-nest.mjs')], { PORT: port }]],
  },
  'webdis + redis': webdis([]),
  'webdis + redis, appendfsync always': webdis(['--appendonly', 'yes', '--appendfsync', 'always']),
  'etcd gateway': {
    needs: ['etcd'],
    requests: { ...ETCD, 'kv-get': ETCD.get, put: ETCD.set },
    run: ({ port, folder }) => {
      const [client, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${port + 1}`];
      const args = [
        '--data-dir',
        `${folder}/etcd`,
        '--listen-client-urls',
        client,
        '--advertise-client-urls',
      ];
      const peers = ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer];
      const cluster = ['--initial-cluster', `default=${peer}`, '--log-level', 'error'];
      return [['etcd', [...args, client, ...peers, ...cluster]]];
    },
  },
};

export function isInstalled(program) {
  try {
    execFileSync('which', [program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

let nextPort = 4600;

/** A side that runs, on the processors `cores`, its files in a folder of its own below `root`. */
export class Running {
  constructor(name, root, cores) {
    this.name = name;
    this.port = nextPort += 2;
    this.requests = SIDES[name].requests;
    this.folder = join(root, String(this.port));
    mkdirSync(this.folder);
    this.children = SIDES[name].run(this).map(([command, args, env = {}]) =>
      spawn('taskset', ['-c', cores, command, ...args], {
        env: { ...process.env, ...Object.fromEntries(Object.entries(env).map(([k, v]) => [k, String(v)])) },
        cwd: this.folder,
        stdio: 'ignore',
      }),
    );
  }

  /** Waits until it stores and reads. */
  async ready() {
    const { set, get: read } = this.requests;
    const paths = { [SIDES.pigeonhole.requests.set.lua]: '/set?somekey=somevalue' };
    const path = paths[set.lua] ?? (read.path ? '/SET/somekey/somevalue' : '/version');
    for (let i = 0; i < 200; i++) {
      try {
        if ((await fetch(`http://127.0.0.1:${this.port}${path}`)).ok) return this;
      } catch {
        // not yet
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${this.name} did not start`);
  }

  /** Processor time of all its processes so far, µs. */
  cpu() {
    return this.pids().reduce((sum, pid) => sum + ticksOf(pid) * 10_000, 0);
  }

  /** Memory of its own, bytes. */
  rssAnon() {
    const kilobytes = (pid) =>
      Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
    return this.pids().reduce((sum, pid) => sum + kilobytes(pid) * 1024, 0);
  }

  pids() {
    const parents = this.children.map(({ pid }) => pid);
    const children = parents.flatMap((pid) =>
      readdirSync(`/proc/${pid}/task`).flatMap((task) =>
        readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
      ),
    );
    return [...parents, ...children];
  }

  async stop() {
    const ended = this.children.map((child) => new Promise((resolve) => child.once('exit', resolve)));
    for (const child of this.children) child.kill('SIGTERM');
    const timer = setTimeout(() => this.children.forEach((child) => child.kill('SIGKILL')), 12_000);
    await Promise.all(ended);
    clearTimeout(timer);
  }
}

function ticksOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
