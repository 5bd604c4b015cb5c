// How the cost of each operation grows with the number of keys and of connections.
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { alternate } from './contest.mjs';
import { fill, luaKeyOf, textOrCounterOf } from './entries.mjs';
import { faultsOf, run, writtenBy } from './processes.mjs';
import { median, paired } from './rows.mjs';
import { batchOf, Side, VALUE } from './sides.mjs';
import { fresh, load } from './wrk.mjs';

const SIZES = [1e3, 1e4, 1e5, 1e6, 1e7];
const CONNECTIONS = [1, 3, 10, 30, 100, 300, 1000];
/** How many keys the store has while connections grow. */
const CONNECTED_SIZE = 1e5;
const PAGE = 4096;
const SCAN = fileURLToPath(new URL('servers/scan.mjs', import.meta.url));
const LONG_VALUE = `string.rep('v', 88) .. ${VALUE}`;

/** What is done at each number of keys, as Lua. Every tenth key is a counter, which stays one. */
const OPERATIONS = (size) => {
  const any = luaKeyOf(`math.random(0, ${size - 1})`);
  const text = luaKeyOf(`10 * math.random(0, ${size / 10 - 1}) + math.random(1, 9)`);
  const counter = luaKeyOf(`10 * math.random(0, ${size / 10 - 1})`);
  return {
    get: { name: 'GET /get', lua: `wrk.format('GET', '/get?key=' .. ${any})` },
    page: { name: 'page of 100', lua: `wrk.format('GET', '/kv?limit=100&after=' .. ${any})` },
    put: { name: 'PUT', lua: `wrk.format('PUT', '/kv/' .. ${text}, nil, ${LONG_VALUE})` },
    set: { name: 'GET /set', lua: `wrk.format('GET', '/set?' .. ${text} .. '=' .. ${LONG_VALUE})` },
    incr: { name: 'PATCH ?incr=1', lua: `wrk.format('PATCH', '/kv/' .. ${counter} .. '?incr=1')` },
    batch: { name: 'entry of a batch of 100', lua: batchOf(text, LONG_VALUE), each: 100 },
  };
};

export async function growth(context) {
  const sizes = SIZES.filter((size) => size <= context.largest);
  const sides = [];
  try {
    for (const size of sizes) sides.push(await filled(context, size));
    const keys = await withKeys(context, sides);
    const connections = await withConnections(
      context,
      sides[sizes.indexOf(Math.min(CONNECTED_SIZE, context.largest))],
    );
    context.keep('growth', { keys, connections });
    return [most(keys, sizes.at(-1))];
  } finally {
    await Promise.all(sides.map((side) => side.stop()));
    for (const side of sides) rmSync(side.folder, { recursive: true });
  }
}

async function filled({ root, progress }, size) {
  progress('importing', size.toLocaleString('en'));
  const side = await Side.start('pigeonhole', root);
  side.size = size;
  await side.listens();
  await fill(side, size, textOrCounterOf);
  side.tree = JSON.parse(await run(process.execPath, [SCAN, side.data, 'tree']));
  return side;
}

async function withKeys(context, sides) {
  const points = sides.flatMap((side) =>
    Object.entries(OPERATIONS(side.size)).map(([what, operation]) => ({ ...operation, what, side })),
  );
  // One operation at all sizes before the next, so that neighbours on a line are neighbours in time.
  const order = points.toSorted((a, b) => a.name.localeCompare(b.name));
  const runs = await alternate(context, order, ({ side, lua, each }, seed) =>
    closely(context, side, lua, { each, seed }),
  );
  return order.map(({ what, name, side }, i) => ({
    what,
    name,
    keys: side.size,
    depth: side.tree.treeDepth,
    ...summed(runs[i]),
  }));
}

async function withConnections(context, side) {
  const { get, put } = OPERATIONS(side.size);
  const points = [get, put].flatMap((operation) =>
    CONNECTIONS.map((connections) => ({ ...operation, connections })),
  );
  const runs = await alternate(context, points, ({ lua, connections }, seed) =>
    closely(context, side, lua, { connections, seed }),
  );
  return points.map(({ name, connections }, i) => ({ name, connections, ...summed(runs[i]) }));
}

/** A load, with what may explain its cost: pages written to the file and pages mapped, for each thing that was done. */
async function closely({ root, seconds }, side, lua, options) {
  const [written, faults] = [writtenBy(side.pid), faultsOf(side.pid)];
  const result = await load(side, fresh(lua), { root, seconds, ...options });
  const { things } = result;
  return {
    ...result,
    pages: (writtenBy(side.pid) - written) / PAGE / things,
    faults: (faultsOf(side.pid) - faults) / things,
  };
}

function summed(runs) {
  const of = (what) => median(runs.map((each) => each[what]));
  const cpus = runs.map(({ cpu }) => cpu);
  const spread = [Math.min(...cpus), Math.max(...cpus)];
  return {
    cpu: of('cpu'),
    spread,
    rate: of('rate'),
    p99: of('p99'),
    pages: of('pages'),
    faults: of('faults'),
    runs: cpus,
  };
}

/** The row of the table: a GET of the largest beside one of the smallest. */
function most(points, largest) {
  const [theirs, ours] = [SIZES[0], largest].map((size) =>
    points.find(({ what, keys }) => what === 'get' && keys === size).runs.map((cpu) => ({ cpu })),
  );
  const work = `\`GET /get?key=\` of ${largest.toLocaleString('en')} keys`;
  return paired({
    work,
    against: `of ${SIZES[0].toLocaleString('en')}`,
    unit: 'µs CPU',
    ours,
    theirs,
    of: ({ cpu }) => cpu,
    reach: 1.3,
    aim: 1.1,
  });
}
