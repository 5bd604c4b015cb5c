// Who is measured: how each side is started, and how it is asked.
import { mkdirSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  cpuOf,
  familyOf,
  isInstalled,
  kill,
  launch,
  memoryOf,
  run,
  SERVER_CORE,
  systemOf,
  writtenBy,
} from './processes.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const POLL_MS = 2;
const WITHIN_MS = 60_000;

/** Lua for a key and a value that are random, and are base64 too, as etcd wants them. */
export const KEY = `string.format('k%011d', math.random(0, 99999999999))`;
export const VALUE = `string.format('v%011d', math.random(0, 99999999999))`;
export const JSON_TYPE = `{['Content-Type']='application/json'}`;
const format = (method, path, type = 'nil', body = 'nil') =>
  `wrk.format('${method}', ${path}, ${type}, ${body})`;

/** A batch of a hundred puts, in Lua, of keys and values that the Lua expressions make. */
export function batchOf(key, value) {
  return hundred(`'{"op":"put","key":"' .. ${key} .. '","value":"' .. ${value} .. '"}'`);
}

/** A batch of a hundred operations that a Lua expression makes. */
function hundred(op) {
  const body = `'{"ops":[' .. table.concat(ops, ',') .. ']}'`;
  return `(function() local ops = {} for i = 1, 100 do ops[i] = ${op} end return ${format('POST', `'/batch'`, JSON_TYPE, body)} end)()`;
}

/** `reads` is what stands before the key in a path; the rest are Lua expressions that make a request. */
const TOKEN = 'token-of-the-benchmark';
const WITH_TOKEN = { Authorization: `Bearer ${TOKEN}` };

const LIKE_OURS = {
  reads: '/get?key=',
  set: format('GET', `'/set?' .. ${KEY} .. '=' .. ${VALUE}`),
  store: (key, value) => [`/set?${key}=${value}`],
};
const OURS = {
  ...LIKE_OURS,
  put: format('PUT', `'/kv/' .. ${KEY}`, 'nil', VALUE),
  batch: batchOf(KEY, VALUE),
  gets: (key) => hundred(`'{"op":"get","key":"' .. ${key} .. '"}'`),
};

/** Another Node than the one that the benchmark runs on; --node names it. */
export const otherNode = { path: undefined };

function ours(settings = {}, node = () => process.execPath) {
  return {
    ...OURS,
    start: ({ launch: start, ports: [port], data }) => {
      start(node(), [here('../../dist/main.js')], {
        PORT: port,
        DATABASE_URL: `lmdb:${data}`,
        ...settings,
      });
    },
  };
}

const node = (file) => ({
  ...LIKE_OURS,
  start: ({ launch: start, ports: [port] }) => start(process.execPath, [here(file)], { PORT: port }),
});

const redis = (start, port, args) => start('redis-server', ['--port', port, '--save', '', ...args]);

function webdis(args) {
  const set = format('GET', `'/SET/' .. ${KEY} .. '/' .. ${VALUE}`);
  return {
    needs: ['webdis', 'redis-server'],
    reads: '/GET/',
    gets: (key) =>
      `(function() local path = '/MGET' for i = 1, 100 do path = path .. '/' .. ${key} end return ${format('GET', 'path')} end)()`,
    set,
    put: set,
    store: (key, value) => [`/SET/${key}/${value}`],
    start: ({ launch: start, ports: [port, own], folder }) => {
      const settings = {
        redis_host: '127.0.0.1',
        redis_port: own,
        http_host: '127.0.0.1',
        http_port: port,
        threads: 1,
        pool_size: 20,
        daemonize: false,
        logfile: join(folder, 'webdis.log'),
      };
      writeFileSync(join(folder, 'webdis.json'), JSON.stringify(settings));
      redis(start, own, args);
      start('webdis', [join(folder, 'webdis.json')]);
    },
  };
}

const ETCD_PUT = format(
  'POST',
  `'/v3/kv/put'`,
  JSON_TYPE,
  `'{"key":"' .. ${KEY} .. '","value":"' .. ${VALUE} .. '"}'`,
);

export const SIDES = {
  pigeonhole: ours(),
  'pigeonhole on the other node': ours({}, () => otherNode.path),
  'pigeonhole with tokens': {
    ...ours({ ADMIN_TOKEN: TOKEN }),
    headers: `{['Authorization']='${WITH_TOKEN.Authorization}'}`,
    store: (key, value) => [`/set?${key}=${value}`, { headers: WITH_TOKEN }],
    readsWith: { headers: WITH_TOKEN },
  },
  'pigeonhole, 2 workers': ours({ WORKERS: '2' }),
  'pigeonhole over TLS': {
    ...OURS,
    scheme: 'https',
    needs: ['openssl'],
    start: async ({ launch: start, ports: [port], data, folder }) => {
      const [cert, key] = ['cert.pem', 'key.pem'].map((file) => join(folder, file));
      const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
      await run('openssl', [
        'req',
        '-x509',
        ...curve,
        '-nodes',
        '-subj',
        '/CN=bench',
        '-keyout',
        key,
        '-out',
        cert,
      ]);
      start(process.execPath, [here('../../dist/main.js')], {
        PORT: port,
        DATABASE_URL: `lmdb:${data}`,
        TLS_CERT: cert,
        TLS_KEY: key,
      });
    },
  },
  'bare node:http + Map': node('servers/bare.mjs'),
  'stock Nest + Map': node('servers/stock-nest.mjs'),
  'webdis + redis': webdis([]),
  'webdis + redis, appendfsync always': webdis(['--appendonly', 'yes', '--appendfsync', 'always']),
  'etcd gateway': {
    needs: ['etcd'],
    set: ETCD_PUT,
    put: ETCD_PUT,
    store: (key, value) => ['/v3/kv/put', { method: 'POST', body: JSON.stringify({ key, value }) }],
    start: ({ launch: start, ports: [client, peer], data }) => {
      const [clients, peers] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
      const options = {
        'data-dir': data,
        'listen-client-urls': clients,
        'advertise-client-urls': clients,
        'listen-peer-urls': peers,
        'initial-advertise-peer-urls': peers,
        'initial-cluster': `default=${peers}`,
        'log-level': 'error',
      };
      start(
        'etcd',
        Object.entries(options).map(([name, value]) => `--${name}=${value}`),
      );
    },
  },
  redis: {
    needs: ['redis-server', 'redis-cli'],
    start: ({ launch: start, ports: [port] }) =>
      redis(start, port, ['--appendonly', 'yes', '--appendfsync', 'everysec']),
  },
  'pigeonhole on redis': {
    ...OURS,
    needs: ['redis-server'],
    start: async ({ launch: start, ports: [port, own] }) => {
      redis(start, own, ['--appendonly', 'yes']);
      await accepts(own);
      start(process.execPath, [here('../../dist/main.js')], {
        PORT: port,
        DATABASE_URL: `redis://127.0.0.1:${own}`,
      });
    },
  },
  'pigeonhole on a cluster': {
    ...OURS,
    needs: ['redis-server', 'redis-cli'],
    start: async ({ launch: start, ports: [port, ...own], folder }) => {
      const [nodes, buses] = [own.slice(0, 3), own.slice(3)];
      for (const [i, each] of nodes.entries()) {
        const its = ['--cluster-enabled', 'yes', '--cluster-port', buses[i], '--dir', folder];
        const files = ['--cluster-config-file', `nodes-${i}.conf`, '--appenddirname', `appended-${i}`];
        redis(start, each, ['--appendonly', 'yes', ...its, ...files]);
      }
      await Promise.all(nodes.map((each) => accepts(each)));
      const addresses = nodes.map((each) => `127.0.0.1:${each}`);
      await run('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-yes']);
      const url = `redis+cluster://${addresses.join(',')}`;
      start(process.execPath, [here('../../dist/main.js')], { PORT: port, DATABASE_URL: url });
    },
  },
};

/** What is not installed and the side `name` needs, as words, or undefined. */
export function lacks(name) {
  const program = SIDES[name].needs?.find((each) => !isInstalled(each));
  return program && `${program} is not installed`;
}

const PORTS = 7;
let folders = 0;

/** A side that runs. */
export class Side {
  children = [];

  /**
   * Starts the side `name` below the folder `root`. `data` is where an earlier one left its data; `settings` are
   * environment variables.
   */
  static async start(name, root, { cores = SERVER_CORE, data, settings } = {}) {
    const side = new Side();
    side.name = name;
    Object.assign(side, SIDES[name]);
    side.folder = join(root, `side-${++folders}`);
    mkdirSync(side.folder);
    side.data = data ?? join(side.folder, 'data');
    const ports = await freePorts(PORTS);
    [side.port, ...side.ownPorts] = ports;
    // What is set in this shell does not count.
    const env = { PATH: process.env.PATH, HOME: side.folder, ...settings };
    const start = (command, args, its) => {
      const options = { cores, cwd: side.folder, env: { ...env, ...its } };
      side.children.push(launch(command, args.map(String), options));
    };
    try {
      await SIDES[name].start({ launch: start, ports, folder: side.folder, data: side.data });
    } catch (error) {
      await side.stop();
      throw error;
    }
    return side;
  }

  /** Resolves when the port takes connections, to the milliseconds it took. */
  async listens() {
    const begin = performance.now();
    await accepts(this.port, () => this.children.some(({ exitCode }) => exitCode !== null));
    return performance.now() - begin;
  }

  /** Waits until it stores and, if it is read from, gives back what was stored. */
  async ready() {
    await this.listens();
    const until = Date.now() + WITHIN_MS;
    while (!(await this.keeps('k00000000000', 'v00000000000'))) {
      if (Date.now() > until) throw new Error(`${this.name} does not answer`);
      await pause(50);
    }
    return this;
  }

  async keeps(key, value) {
    try {
      if (!(await this.ask(...this.store(key, value))).ok) return false;
      return !this.reads || (await (await this.ask(this.reads + key, this.readsWith)).text()).includes(value);
    } catch {
      return false;
    }
  }

  ask(path, options) {
    return this.scheme === 'https' ? askOverTls(this.url + path) : fetch(this.url + path, options);
  }

  get url() {
    return `${this.scheme ?? 'http'}://127.0.0.1:${this.port}`;
  }

  /** The server that answers; those it asks were started before it. */
  get pid() {
    return this.children.at(-1).pid;
  }

  /** Processor time of all its processes so far, µs. */
  cpu() {
    return this.sum(cpuOf);
  }

  /** The system's part of it, µs. */
  system() {
    return this.sum(systemOf);
  }

  /** What all its processes have written to files so far, bytes. */
  written() {
    return this.sum(writtenBy);
  }

  /** Memory of its own of all its processes, bytes. */
  memory() {
    return this.sum(memoryOf);
  }

  sum(of) {
    return this.children.flatMap(({ pid }) => familyOf(pid)).reduce((sum, pid) => sum + of(pid), 0);
  }

  async stop() {
    await Promise.all(this.children.map(kill));
  }
}

/** As `fetch`, from a server whose certificate nobody knows. */
function askOverTls(url) {
  return new Promise((resolve, reject) => {
    get(url, { rejectUnauthorized: false }, (response) => {
      resolve({ ok: response.statusCode < 300, text: () => text(response) });
    }).on('error', reject);
  });
}

async function accepts(port, isOver = () => false) {
  const until = Date.now() + WITHIN_MS;
  while (!(await canConnect(port))) {
    if (isOver() || Date.now() > until) throw new Error(`nothing listens on port ${port}`);
    await pause(POLL_MS);
  }
}

function canConnect(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
    }),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
