// How long the event loop is held at most by what holds it longest, and how long others wait meanwhile.
import { readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fill, keyOf } from './entries.mjs';
import { single } from './rows.mjs';
import { Side } from './sides.mjs';

const MANY = 1_000_000;
const MIB = 2 ** 20;
const POLL_MS = 5;
/** How long an EventSource waits before it comes again, by our own `retry:`. */
const RETRY_MS = 1000;
const EXPIRY_S = 3;
const EXPIRED_WITHIN_MS = 60_000;
const PROBE = new URL('servers/turn-probe.mjs', import.meta.url);
const JSON_TYPE = { 'Content-Type': 'application/json' };
const NDJSON = { 'Content-Type': 'application/x-ndjson' };
const MERGE_PATCH = { 'Content-Type': 'application/merge-patch+json' };

/** `before` and `after` around as many of `piece` as fit `bytes`. */
function repeated(before, piece, after, bytes) {
  const count = Math.floor((bytes - before.length - after.length) / piece.length);
  return before + piece.repeat(count) + after;
}

const list = (piece, bytes) => `${repeated('[', `${piece},`, '', bytes)}${piece}]`;
const members = (bytes) => {
  let text = '{"m":0';
  for (let i = 0; text.length < bytes - 20; i++) text += `,"m${i}":${i}`;
  return `${text}}`;
};
const operation = (value) => `{"ops":[{"op":"put","key":"a","value":${value}}]}`;
const line = (value) => `{"key":"a","value":${value}}\n`;

/** What clients send, whose length they choose: each makes its bodies first, and returns what sends them. */
const ATTACKS = {
  'PUT of 16 MiB of `{}`': sending('PUT', '/kv/a', JSON_TYPE, () => list('{}', 16 * MIB - 9)),
  'PUT of 16 MiB of `0.0` and a merge patch': ({ send }) => {
    const body = `{"x":${list('0.0', 16 * MIB - 99)}}`;
    return async () => {
      await send('PUT', '/kv/a', JSON_TYPE, body);
      await send('PATCH', '/kv/a', MERGE_PATCH, '{"a":1}');
    };
  },
  'PUT of 16 MiB of `[`': sending('PUT', '/kv/a', JSON_TYPE, () => '['.repeat(16 * MIB)),
  'PUT of 16 MiB of one string': sending('PUT', '/kv/a', JSON_TYPE, () => `"${'\\u00e9'.repeat(2.7 * MIB)}"`),
  'PUT of 16 MiB of members': sending('PUT', '/kv/a', JSON_TYPE, () => members(16 * MIB)),
  'GET of 16 MiB': async ({ send }) => {
    await send('PUT', '/kv/a', {}, Buffer.alloc(16 * MIB, 0xff));
    return () => send('GET', '/kv/a');
  },
  'a page with 16 MiB':
    ({ send }) =>
    () =>
      send('GET', '/kv?prefix=a&values=true'),
  'merge patches of 1 MiB on 1 MiB': ({ send }) => {
    const [value, patch, objects] = [members(MIB), members(MIB - 9), `{"x":${list('{}', MIB - 99)}}`];
    return async () => {
      await send('PUT', '/kv/a', JSON_TYPE, value);
      for (let i = 0; i < 4; i++) await send('PATCH', '/kv/a', MERGE_PATCH, patch);
      await send('PATCH', '/kv/a', MERGE_PATCH, objects);
    };
  },
  'four merge patches of 16 MiB in one segment': async ({ send, pipeline }) => {
    await send('PUT', '/kv/a', JSON_TYPE, `{"x":${list('0.0', 16 * MIB - 99)}}`);
    const patch =
      'PATCH /kv/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/merge-patch+json\r\nContent-Length: 7\r\n\r\n{"a":1}';
    return () => pipeline(patch.repeat(4), 4);
  },
  'batch of 16 MiB of `{}`': sending('POST', '/batch', JSON_TYPE, () => operation(list('{}', 16 * MIB - 99))),
  'a new end for 16 MiB': ({ send }) => {
    const value = Buffer.alloc(16 * MIB, 0xff);
    return async () => {
      await send('PUT', '/kv/a', {}, value);
      await send('PATCH', '/kv/a?ttl=1000');
    };
  },
  ...Object.fromEntries(
    Object.entries({
      ends: '{"op":"touch","key":"a","ttl":1000}',
      checks: '{"op":"check","key":"a","ifMatch":"*"}',
      reads: '{"op":"get","key":"a"}',
      counts: '{"op":"incr","key":"a"}',
    }).map(([name, each]) => [
      `batch of 1,000 ${name} of 16 MiB`,
      async ({ send }) => {
        await send('PUT', '/kv/a', {}, Buffer.alloc(16 * MIB, 0xff));
        const ops = Array.from({ length: 1000 }, () => each).join(',');
        return () => send('POST', '/batch', JSON_TYPE, `{"atomic":false,"ops":[${ops}]}`);
      },
    ]),
  ),
  'batch of 1,000 puts': sending('POST', '/batch', JSON_TYPE, () => {
    const put = (_, i) => `{"op":"put","key":"b${i}","value":"${'v'.repeat(10_000)}"}`;
    return `{"ops":[${Array.from({ length: 1000 }, put).join(',')}]}`;
  }),
  'import of a line of 31 MiB of `{}`': sending('POST', '/kv', NDJSON, () => line(list('{}', 31 * MIB))),
  'import of a line of 95 MiB': sending('POST', '/kv', NDJSON, () => line(list('{}', 95 * MIB))),
  'import of 100,000 lines': sending('POST', '/kv', NDJSON, () => {
    let text = '';
    for (let i = 0; i < 100_000; i++) text += `{"key":"i${i}","value":"x"}\n`;
    return text;
  }),
};

function sending(method, path, headers, makeBody) {
  return ({ send }) => {
    const body = Buffer.from(makeBody());
    return () => send(method, path, headers, body);
  };
}

const STREAMS = {
  '`GET /`': sends('/'),
  'NDJSON export': sends('/kv', { Accept: 'application/x-ndjson' }),
  "a watch's snapshot": sends('/kv?prefix=k', { Accept: 'text/event-stream' }, 'event: ready'),
};

/** What visits a million entries. */
const LONG_READS = {
  ...STREAMS,
  'a page with the count': sends('/kv?prefix=k&limit=1000&values=true&count=true'),
  'deletion of 100,000':
    ({ send }) =>
    () =>
      send('DELETE', '/kv?prefix=k000009'),
};

function sends(path, headers, until) {
  return ({ send }) =>
    () =>
      send('GET', path, headers, undefined, until);
}

export async function turns(context) {
  const rows = [
    ...(await contest(context, ATTACKS, 0)),
    ...(await contest(context, named(STREAMS, '120 MB'), 40_000, () => 'v'.repeat(3000))),
    ...(await contest(context, named(LONG_READS, 'a million entries'), MANY)),
    ...(await expiring(context)),
  ];
  return rows;
}

const named = (works, what) =>
  Object.fromEntries(Object.entries(works).map(([name, work]) => [`${name}, ${what}`, work]));

async function contest(context, works, entries, valueOf) {
  const measured = Object.fromEntries(Object.keys(works).map((name) => [name, []]));
  for (let round = 0; round < context.rounds; round++) {
    const probed = await Probed.start(context.root);
    try {
      if (entries > 0) await fill(probed.side, entries, valueOf);
      for (const [name, work] of Object.entries(works)) {
        context.progress(name, `round ${round + 1}`);
        measured[name].push(await probed.during(await work(probed)));
      }
    } finally {
      await probed.stop();
    }
  }
  return Object.entries(measured).flatMap(([name, ours]) => rowsOf(name, ours));
}

function rowsOf(name, ours) {
  return [
    single({ work: `longest turn, ${name}`, ours, unit: 'ms', of: ({ turn }) => turn, reach: 50, aim: 20 }),
    single({
      work: `\`GET /get\` beside it, p99`,
      ours,
      unit: 'ms',
      of: ({ p99 }) => p99,
      reach: 20,
      aim: 10,
    }),
  ];
}

/** A million entries that expire in the same second. */
async function expiring(context) {
  const ours = [];
  for (let round = 0; round < context.rounds; round++) {
    context.progress('entries that expire', `round ${round + 1}`);
    const probed = await Probed.start(context.root);
    try {
      const expires = new Date(Date.now() + 60_000).toISOString();
      await probed.send('POST', '/kv', NDJSON, expiringLines(MANY, expires));
      await pause(Math.max(0, Date.parse(expires) - Date.now() - EXPIRY_S * 1000));
      const events = probed.countEvents('/kv?prefix=k', 'event: expire');
      ours.push(
        await probed.during(async () => {
          await pause(Math.max(0, Date.parse(expires) - Date.now()));
          const begun = performance.now();
          await probed.send('GET', '/kv?prefix=k&count=true');
          await probed.send('GET', '/');
          const limit = begun + EXPIRED_WITHIN_MS;
          while (events.count() < MANY && performance.now() < limit) await pause(POLL_MS);
          return { events: events.count(), seconds: (performance.now() - begun) / 1000 };
        }),
      );
      events.stop();
    } finally {
      await probed.stop();
    }
  }
  const work = 'a million entries that end in one second';
  return [
    ...rowsOf(work, ours),
    single({
      work: `their \`expire\` events`,
      ours,
      unit: 's',
      of: ({ result }) => result.seconds,
      reach: 10,
      aim: 5,
    }),
    single({
      work: `how many of them`,
      ours,
      unit: '',
      of: ({ result }) => result.events,
      atLeast: true,
      reach: MANY,
      aim: MANY,
    }),
  ];
}

function* expiringLines(count, expires) {
  for (let i = 0; i < count; i += 1000) {
    let text = '';
    for (let j = i; j < i + 1000; j++) text += `{"key":"${keyOf(j)}","value":"x","expires":"${expires}"}\n`;
    yield text;
  }
}

/** A server with the probe in it. */
class Probed {
  static async start(root) {
    const probed = new Probed();
    probed.file = join(root, 'turns');
    probed.side = await Side.start('pigeonhole', root, {
      settings: { NODE_OPTIONS: `--import ${PROBE.href}`, TURNS_FILE: probed.file },
    });
    await probed.side.listens();
    await probed.send('PUT', '/kv/probe', {}, 'x');
    return probed;
  }

  /** Returns the longest turn, ms, and how long reads of others waited while `work` ran. */
  async during(work) {
    await this.longestTurn();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const waits = [];
    let isOver = false;
    const reading = (async () => {
      while (!isOver) {
        const begun = performance.now();
        await this.send('GET', '/get?key=probe', {}, undefined, undefined, agent);
        waits.push(performance.now() - begun);
      }
    })();
    const result = await work();
    isOver = true;
    await reading;
    agent.destroy();
    waits.sort((a, b) => a - b);
    return { turn: await this.longestTurn(), p99: waits[Math.floor(waits.length * 0.99)], result };
  }

  async longestTurn() {
    rmSync(this.file, { force: true });
    process.kill(this.side.children[0].pid, 'SIGUSR2');
    for (;;) {
      try {
        return Number(readFileSync(this.file, 'utf8'));
      } catch {
        await pause(POLL_MS);
      }
    }
  }

  /** Sends a request and reads its answer, up to `until` if given. Resolves to the status, or 0 if it was cut off. */
  send = (method, path, headers = {}, body, until, agent) =>
    new Promise((resolve) => {
      const options = { port: this.side.port, host: '127.0.0.1', method, path, headers, agent };
      const request = http.request(options, (response) => {
        response.on('error', () => resolve(0)).on('close', () => resolve(response.statusCode));
        response.on('data', (bytes) => {
          if (until !== undefined && bytes.includes(until)) request.destroy();
        });
      });
      request.on('error', () => resolve(0));
      if (body === undefined || typeof body === 'string' || body instanceof Buffer) return request.end(body);
      void sendPieces(request, body);
    });

  /** Sends bytes as they are, and reads until `answers` have come. */
  pipeline = (bytes, answers) =>
    new Promise((resolve) => {
      let text = '';
      const socket = connect(this.side.port, '127.0.0.1', () => socket.write(bytes));
      socket.on('error', resolve).on('close', resolve);
      socket.on('data', (chunk) => {
        text += chunk;
        if (text.split('HTTP/1.1 ').length > answers) socket.destroy();
      });
    });

  /** Follows the events of a range and counts those of a kind. Comes again by the last id, as an EventSource does. */
  countEvents(path, kind) {
    let count = 0;
    let lastId;
    let isStopped = false;
    let request;
    const take = (event) => {
      lastId = /^id: (.*)$/m.exec(event)?.[1] ?? lastId;
      if (event.includes(kind)) count++;
    };
    const connect = () => {
      const headers = { Accept: 'text/event-stream', ...(lastId && { 'Last-Event-ID': lastId }) };
      let rest = '';
      request = http.get({ port: this.side.port, host: '127.0.0.1', path, headers }, (response) => {
        response.setEncoding('latin1').on('data', (text) => {
          const events = (rest + text).split('\n\n');
          rest = events.pop();
          events.forEach(take);
        });
        response.on('error', () => undefined);
      });
      request.on('error', () => undefined).on('close', () => isStopped || setTimeout(connect, RETRY_MS));
    };
    connect();
    const stop = () => {
      isStopped = true;
      request.destroy();
    };
    return { count: () => count, stop };
  }

  async stop() {
    await this.side.stop();
    rmSync(this.side.folder, { recursive: true });
  }
}

async function sendPieces(request, pieces) {
  for (const piece of pieces)
    if (!request.write(piece)) await new Promise((resolve) => request.once('drain', resolve));
  request.end();
}
