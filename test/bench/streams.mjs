// Contests of long streams: how long a million entries take, in and out, and the memory that goes with it.
import { openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { alternate } from './contest.mjs';
import { fill, writeEntries } from './entries.mjs';
import { run, SERVER_CORE } from './processes.mjs';
import { paired, single } from './rows.mjs';
import { lacks, Side } from './sides.mjs';

const MANY = 1_000_000;
const REST_MS = 2000;
const SAMPLE_MS = 20;
const MIB = 2 ** 20;
const NDJSON = 'application/x-ndjson';
const SCAN = fileURLToPath(new URL('servers/scan.mjs', import.meta.url));

const secondsOf = ({ seconds }) => seconds;
const MEMORY = { unit: 'MiB', of: ({ growth }) => growth / MIB, reach: 64, aim: 32 };

export async function importing(context) {
  const row = { work: 'import of 1 million entries', against: '`redis-cli --pipe`, appendfsync everysec' };
  const skipped = lacks('redis');
  if (skipped) return [{ ...row, skipped }];
  const ways = [
    { name: 'pigeonhole', form: 'ndjson', send: upload },
    { name: 'redis', form: 'resp', send: pipe },
  ];
  for (const way of ways) {
    way.file = join(context.root, `entries.${way.form}`);
    context.progress('writing entries', way.form);
    await writeEntries(way.file, MANY, way.form);
  }
  const [ours, theirs] = await alternate(context, ways, async ({ name, send, file }) => {
    const side = await started(name, context.root);
    try {
      return await timed(side, () => send(side, file));
    } finally {
      await side.stop();
      rmSync(side.folder, { recursive: true });
    }
  });
  for (const { file } of ways) rmSync(file);
  return [
    paired({ ...row, unit: 's', ours, theirs, of: secondsOf, reach: 3, aim: 1 }),
    single({ work: 'RssAnon more while they come in', ours, ...MEMORY }),
  ];
}

export async function exporting(context) {
  const ways = [
    { name: '`lmdb` range scan in process', take: scan },
    { name: '`GET /`', take: (side) => timed(side, () => download(side, '/', '*/*')) },
    { name: 'NDJSON export', take: (side) => timed(side, () => download(side, '/kv', NDJSON)) },
  ];
  const [first, ...both] = ways;
  context.progress('importing', MANY);
  const data = await filled(context.root);
  const [theirs, ...each] = await withServer(context, data, (side) =>
    alternate(context, ways, ({ take }) => take(side)),
  );
  // Memory is that of a server which does it for the first time.
  const memory = await alternate(context, both, ({ take }) => withServer(context, data, take));
  rmSync(data, { recursive: true });
  const row = { against: first.name, unit: 's', theirs, of: secondsOf, reach: 5, aim: 2 };
  return [
    ...both.map(({ name }, i) => paired({ ...row, work: `${name} of 1 million entries`, ours: each[i] })),
    ...both.map(({ name }, i) => single({ work: `RssAnon more, ${name}`, ours: memory[i], ...MEMORY })),
  ];
}

/** A side that has started and come to rest. */
async function started(name, root, options) {
  const side = await Side.start(name, root, options);
  await side.listens();
  await pause(REST_MS);
  return side;
}

async function filled(root) {
  const side = await started('pigeonhole', root);
  try {
    await fill(side, MANY);
    return side.data;
  } finally {
    await side.stop();
  }
}

async function withServer({ root }, data, use) {
  const side = await started('pigeonhole', root, { data });
  try {
    return await use(side);
  } finally {
    await side.stop();
  }
}

/** How long `work` takes, s, what the side's processors, s, and by how much its memory grows, bytes. */
async function timed(side, work) {
  const [before, cpu, begin] = [side.memory(), side.cpu(), performance.now()];
  let most = before;
  const sample = () => (most = Math.max(most, side.memory()));
  const sampler = setInterval(sample, SAMPLE_MS);
  try {
    await work();
    const seconds = (performance.now() - begin) / 1000;
    sample();
    return { seconds, cpu: (side.cpu() - cpu) / 1e6, growth: most - before };
  } finally {
    clearInterval(sampler);
  }
}

async function upload({ port }, file) {
  const args = ['-sS', '-X', 'POST', '-T', file, '-H', `Content-Type: ${NDJSON}`];
  const out = await run('curl', [...args, `http://127.0.0.1:${port}/kv`]);
  if (JSON.parse(out).created !== MANY) throw new Error(`the import failed: ${out}`);
}

async function pipe({ port }, file) {
  const out = await run('redis-cli', ['-p', String(port), '--pipe'], { input: openSync(file) });
  if (!out.includes(`errors: 0, replies: ${MANY}`)) throw new Error(`redis-cli failed: ${out}`);
}

async function download({ port }, path, accept) {
  const args = ['-sS', '--fail', '-o', '/dev/null', '-H', `Accept: ${accept}`];
  await run('curl', [...args, `http://127.0.0.1:${port}${path}`]);
}

async function scan({ data }) {
  const { ms, count } = JSON.parse(await run(process.execPath, [SCAN, data], { cores: SERVER_CORE }));
  if (count !== MANY) throw new Error(`the scan found ${count} entries`);
  return { seconds: ms / 1000 };
}
