// What watching costs: the delay of events to many, what a write costs while many watch something else, the memory of many
// that come and go.
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { alternate } from './contest.mjs';
import { launch, LOAD_CORE, kill } from './processes.mjs';
import { paired, single } from './rows.mjs';
import { Side } from './sides.mjs';
import { fresh, load } from './wrk.mjs';

const WATCHERS = 1000;
const RATE = 100;
const KEYS = 100;
const LATE_MS = 2000;

const CLIENTS = fileURLToPath(new URL('servers/watchers.mjs', import.meta.url));

export async function watching(context) {
  return withWatchers(context, async (side, ask) => {
    await ask({ path: '/kv?prefix=user/', count: WATCHERS });
    const runs = await alternate(context, ['events'], () => fanOut(context, side, ask));
    await ask({ drop: true });
    const [none, many] = await alternate(context, [0, WATCHERS], (count, seed) =>
      costOfPut(context, side, ask, count, seed),
    );
    const work = `${WATCHERS} watchers, ${RATE} writes a second`;
    return [
      single({
        work: `${work}: 99 % of events within`,
        unit: 'ms',
        ours: runs[0],
        of: ({ p99 }) => p99,
        reach: 250,
        aim: 100,
      }),
      single({
        work: `${work}: events that arrive`,
        unit: '%',
        ours: runs[0],
        of: ({ arrived }) => arrived,
        reach: 100,
        aim: 100,
        atLeast: true,
      }),
      paired({
        work: `\`PUT\` beside ${WATCHERS} watchers of other keys`,
        against: 'beside none',
        unit: 'µs CPU',
        ours: many,
        theirs: none,
        of: ({ cpu }) => cpu,
      }),
      single({
        work: `RssAnon more for each watcher`,
        unit: 'KiB',
        ours: many,
        of: ({ memory }) => memory / WATCHERS / 1024,
      }),
    ];
  });
}

async function withWatchers({ root }, use) {
  const settings = { MAX_WATCHERS: String(WATCHERS) };
  const side = await Side.start('pigeonhole', root, { settings });
  const clients = launch(process.execPath, [CLIENTS], {
    cores: LOAD_CORE,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const ask = (question) =>
    new Promise((resolve, reject) => {
      clients.once('message', resolve);
      clients.ended.then((status) => reject(new Error(`the watchers ended with ${status}`)));
      clients.send({ port: side.port, ...question });
    });
  try {
    await side.ready();
    return await use(side, ask);
  } finally {
    await kill(clients);
    await side.stop();
  }
}

async function fanOut({ seconds }, side, ask) {
  const begin = performance.now();
  const pending = [];
  while (pending.length < seconds * RATE) {
    const due = Math.min(seconds * RATE, ((performance.now() - begin) / 1000) * RATE);
    while (pending.length < due) {
      const path = `/kv/user/${pending.length % KEYS}`;
      pending.push(
        side.ask(path, { method: 'PUT', body: `at=${Date.now()}` }).then((answer) => answer.text()),
      );
    }
    await pause(5);
  }
  await Promise.all(pending);
  await pause(LATE_MS);
  const { events, ...delays } = await ask({});
  return { ...delays, arrived: (100 * events) / (pending.length * WATCHERS) };
}

async function costOfPut({ root, seconds }, side, ask, count, seed) {
  const before = side.memory();
  await ask({ path: '/kv?prefix=other/', count });
  const memory = side.memory() - before;
  const result = await load(side, fresh(side.put), { root, seconds, seed });
  await ask({ drop: true });
  return { ...result, memory };
}
