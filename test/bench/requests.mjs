// Contests of small requests: what one takes of the processors.
import { alternate, withSides } from './contest.mjs';
import { keyOf, luaKeyOf } from './entries.mjs';
import { ALL_CORES } from './processes.mjs';
import { paired } from './rows.mjs';
import { lacks, otherNode } from './sides.mjs';
import { fresh, load, prepared } from './wrk.mjs';

const FEW = 1000;
const AT_ONCE = 50;
const GET = '`GET /get?key=`';
const CPU = 'µs CPU';

const reads = ({ reads: path, headers = '{}' }) =>
  prepared(`wrk.format('GET', '${path}' .. ${luaKeyOf('i')}, ${headers})`, FEW);
const makes = (what) => (side) => fresh(side[what]);
const cpuOf = ({ cpu }) => cpu;

/** Loads each side with what `lua` makes for it. `options` are those of `load`, and the processors of the sides. */
function loads(context, names, lua, { cores, ...options } = {}) {
  const { root, seconds } = context;
  return withSides(context, names, { cores }, async (sides) => {
    for (const side of sides) await storeFew(side);
    return alternate(context, sides, (side, seed) =>
      load(side, lua(side), { root, seconds, seed, cores, ...options }),
    );
  });
}

async function storeFew(side) {
  for (let i = 0; i < FEW; i += AT_ONCE) {
    const kept = Array.from({ length: AT_ONCE }, (_, j) =>
      side.keeps(keyOf(i + j), `v${String(i + j).padStart(11, '0')}`),
    );
    if ((await Promise.all(kept)).includes(false))
      throw new Error(`${side.name} does not keep what it is given`);
  }
}

/** Ours beside each of the peers that are installed, with its targets. */
async function besides(context, work, lua, peers) {
  const there = peers.filter(({ against }) => !lacks(against));
  const runs = await loads(context, ['pigeonhole', ...there.map(({ against }) => against)], lua);
  return peers.map((peer) => {
    const skipped = lacks(peer.against);
    if (skipped) return { work, skipped, ...peer };
    return paired({
      work,
      unit: CPU,
      ours: runs[0],
      theirs: runs[there.indexOf(peer) + 1],
      of: cpuOf,
      ...peer,
    });
  });
}

const LASTING = [
  { against: 'webdis + redis, appendfsync always', reach: 2, aim: 1 },
  { against: 'etcd gateway', reach: 1 / 3, aim: 1 / 6 },
];

export const get = (context) =>
  besides(context, GET, reads, [
    { against: 'bare node:http + Map', reach: 1.6, aim: 1.3 },
    { against: 'stock Nest + Map', reach: 1 / 5, aim: 1 / 8 },
    { against: 'webdis + redis', reach: 1.5, aim: 1.2 },
  ]);

export const set = (context) => besides(context, '`GET /set?key=value`', makes('set'), LASTING);

export const put = (context) => besides(context, '`PUT /kv/key`', makes('put'), LASTING);

export async function batch(context) {
  const { root, seconds } = context;
  const ways = [
    { name: 'batch', each: 100 },
    { name: 'put', each: 1 },
  ];
  const [ours, theirs] = await withSides(context, ['pigeonhole'], {}, ([side]) =>
    alternate(context, ways, ({ name, each }, seed) =>
      load(side, fresh(side[name]), { root, seconds, seed, each }),
    ),
  );
  const row = { work: '`POST /batch` of 100 puts, each', against: '`PUT /kv/key`', unit: CPU, of: cpuOf };
  return [paired({ ...row, ours, theirs, reach: 1 / 5, aim: 1 / 10 })];
}

/** A batch of gets beside the command of Redis that reads as many. */
export async function gets(context) {
  const names = ['pigeonhole', 'webdis + redis'];
  const row = { work: '`POST /batch` of 100 gets, each', against: 'webdis + redis, `MGET`', unit: CPU };
  const skipped = lacks(names[1]);
  if (skipped) return [{ ...row, skipped }];
  const lua = (side) => prepared(side.gets(luaKeyOf('math.random(0, 999)')), FEW / 10);
  const [ours, theirs] = await loads(context, names, lua, { each: 100 });
  return [paired({ ...row, of: cpuOf, ours, theirs })];
}

/** What it costs that every request has to show a token; without targets. */
export async function tokens(context) {
  const [ours, theirs] = await loads(context, ['pigeonhole with tokens', 'pigeonhole'], reads);
  return [paired({ work: `${GET} with tokens`, against: 'without', unit: CPU, of: cpuOf, ours, theirs })];
}

/** The same build on two versions of Node. */
export async function nodes(context) {
  const [other, own] = [otherNode.version, process.version];
  const row = { unit: CPU, against: `on Node ${own}` };
  if (!otherNode.path) return [{ ...row, work: GET, skipped: '--node names no other Node' }];
  const rows = [];
  for (const [work, lua] of [
    [GET, reads],
    ['`PUT /kv/key`', makes('put')],
  ]) {
    const names = ['pigeonhole on the other node', 'pigeonhole'];
    const [ours, theirs] = await loads(context, names, lua);
    rows.push(paired({ ...row, work: `${String(work)} on Node ${other}`, of: cpuOf, ours, theirs }));
  }
  return rows;
}

/** Server and load on the same processors, all there are. */
export async function workers(context) {
  const names = ['pigeonhole, 2 workers', 'pigeonhole'];
  const [ours, theirs] = await loads(context, names, reads, { cores: ALL_CORES });
  const row = { work: `${GET}, \`WORKERS=2\``, against: '`WORKERS=1`', ours, theirs };
  return [
    paired({ ...row, unit: CPU, of: cpuOf, reach: 1.15, aim: 1.05 }),
    paired({ ...row, unit: 'a second', of: ({ rate }) => rate, reach: 1.4, aim: 1.6, atLeast: true }),
  ];
}

/** What TLS costs, on connections that are kept and on new ones; without targets. */
export async function tls(context) {
  const names = ['pigeonhole over TLS', 'pigeonhole'];
  const skipped = lacks(names[0]);
  if (skipped) return [{ work: `${GET} over TLS`, against: 'without', skipped }];
  const closes = (side) =>
    prepared(`wrk.format('GET', '${side.reads}' .. ${luaKeyOf('i')}, {['Connection']='close'})`, FEW);
  const rows = [];
  for (const [work, lua] of [
    ['on kept connections', reads],
    ['on a connection each', closes],
  ]) {
    const [ours, theirs] = await loads(context, names, lua);
    rows.push(
      paired({
        work: `${GET} over TLS, ${String(work)}`,
        against: 'without',
        unit: CPU,
        ours,
        theirs,
        of: cpuOf,
      }),
    );
  }
  return rows;
}

/** What moving to Redis costs, the Redis servers included; without targets. */
export async function engines(context) {
  const names = ['pigeonhole', 'pigeonhole on redis', 'pigeonhole on a cluster'];
  const skipped = lacks(names[2]);
  if (skipped) return [{ work: 'on Redis and on a cluster', against: 'on LMDB', skipped }];
  const rows = [];
  for (const [work, lua] of [
    [GET, reads],
    ['`PUT /kv/key`', makes('put')],
  ]) {
    const [theirs, ...each] = await loads(context, names, lua);
    each.forEach((ours, i) =>
      rows.push(
        paired({
          work: `${String(work)}, ${names[i + 1].replace('pigeonhole ', '')}`,
          against: 'on LMDB',
          unit: CPU,
          ours,
          theirs,
          of: cpuOf,
        }),
      ),
    );
  }
  return rows;
}
