/*
 * What a million entries take: `node test/bench/sizes.mjs [entries]`, after a build. For values of each size it fills a new
 * database by import, restarts the server, reads every entry once, and prints a row of the page on sizes. Memory is what
 * /proc says of the process: anonymous memory is its own, that of files is the system's cache of the data file.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ENTRIES = Number(process.argv[2] ?? 1_000_000);
const SIZES = [100, 1024];
const MAIN = process.env.MAIN ?? join(import.meta.dirname, '..', '..', 'dist', 'main.js');
const LINES_AT_ONCE = 1_000;
/** Of processor time in a second, on Linux. */
const TICKS = 100;

async function start(folder) {
  const began = performance.now();
  const child = spawn(process.execPath, [MAIN], {
    env: { PATH: process.env.PATH, PORT: '0', DATABASE_URL: `lmdb:${folder}` },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const text of child.stdout) {
    const [, port] = /Listening on http:[^"\s]*:(\d+)/.exec(text.toString()) ?? [];
    if (port) return { child, url: `http://127.0.0.1:${port}`, took: Math.round(performance.now() - began) };
  }
  throw new Error('The server has not started.');
}

/** Processor time of the server so far, seconds. */
function processor({ child }) {
  const times = readFileSync(`/proc/${child.pid}/stat`, 'latin1').split(') ').at(-1).split(' ').slice(11, 13);
  return (times.reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS).toFixed(1);
}

async function stop({ child }) {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}

function memory({ child }) {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  const mib = (name) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]) / 1024);
  return `${mib('RssAnon')} + ${mib('RssFile')}`;
}

async function* entries(size) {
  for (let at = 0; at < ENTRIES; at += LINES_AT_ONCE) {
    let text = '';
    for (let i = at; i < Math.min(ENTRIES, at + LINES_AT_ONCE); i++) {
      const value = randomBytes(Math.ceil(size / 2))
        .toString('hex')
        .slice(0, size);
      text += `{"key":"user/${String(i).padStart(9, '0')}","value":"${value}"}\n`;
    }
    yield Buffer.from(text);
  }
}

async function measure(size) {
  const folder = mkdtempSync(join(process.env.FOLDER ?? tmpdir(), 'sizes-'));
  const filling = await start(folder);
  const began = performance.now();
  const answer = await fetch(`${filling.url}/kv`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-ndjson' },
    body: entries(size),
    duplex: 'half',
  });
  const { created } = await answer.json();
  if (created !== ENTRIES) throw new Error(`Only ${created} entries were created.`);
  const imported = Math.round((performance.now() - began) / 1000);
  const filled = memory(filling);
  const importing = processor(filling);
  await stop(filling);
  const file = Math.round(statSync(join(folder, 'data.mdb')).size / 2 ** 20);
  const again = await start(folder);
  const idle = memory(again);
  const starting = processor(again);
  for await (const _ of (await fetch(`${again.url}/`)).body);
  console.log(
    `| ${size} B | ${file} | ${imported} (${importing}) | ${filled} | ${again.took} (${starting}) | ${idle} | ${memory(again)} |`,
  );
  await stop(again);
  rmSync(folder, { recursive: true });
}

console.log(
  '| value | file, MiB | import, s (of processor) | memory after it, MiB | start, ms (s of processor) | memory, MiB | after a read of all, MiB |',
);
console.log('|---|---:|---:|---:|---:|---:|---:|');
for (const size of SIZES) await measure(size);
