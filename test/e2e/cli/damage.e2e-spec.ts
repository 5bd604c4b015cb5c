import { beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync, readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../support/built.js';
import { builtCli, Cli, runCli } from '../../support/cli.js';
import { ask } from '../../support/http.js';
import { batch, NDJSON, put } from '../../support/kv.js';
import { damagedCopy, PAGE, SoundFile } from '../../support/damaged-file.js';
import { startServer } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { longTest } from '../../support/long-run.js';

const ENTRIES = 2_000;
const AT_ONCE = 500;

let sound: string;
/** The lines of an export of the sound folder, without its closing line. */
let exported: string;

/** Starts a server on a new folder and fills it with values of many sizes, of which a quarter are overwritten and some deleted. */
async function filled(): Promise<{ folder: string; server: Awaited<ReturnType<typeof startServer>> }> {
  const folder = temporaryFolder();
  // The smallest log there may be, so that it does not reach back to all.
  const server = await startServer({ DATABASE_URL: `lmdb:${folder}`, WATCH_LOG_BYTES: '65536' });
  for (let start = 0; start < ENTRIES; start += AT_ONCE) {
    const ops = Array.from({ length: AT_ONCE }, (_, i) => ({
      op: 'put',
      key: `user/${start + i}`,
      value: `value ${start + i} `.repeat((start + i) % 100 === 0 ? 1000 : 8),
      ...(i % 10 === 0 && { ttl: 3600 }),
    }));
    expect((await batch(server.port, ops)).status).toBe(200);
  }
  for (let i = 0; i < ENTRIES; i += 4) await put(server.port, `user/${i}`, `new value ${i}`);
  await put(server.port, 'binary', Buffer.from([0, 255, 254]), { 'Content-Type': 'image/png' });
  expect((await ask(server.port, '/kv?prefix=user/1&confirm=all', { method: 'DELETE' })).status).toBeLessThan(
    300,
  );
  return { folder, server };
}

beforeAll(async () => {
  const { folder, server } = await filled();
  sound = folder;
  exported = linesOf((await ask(server.port, '/kv', { headers: { Accept: 'application/x-ndjson' } })).text);
  await server.end('SIGTERM');
});

function linesOf(ndjson: string): string {
  return ndjson.slice(0, ndjson.lastIndexOf('\n', ndjson.length - 2) + 1);
}

function closingOf(ndjson: string): Record<string, unknown> & { salvage: Record<string, unknown> } {
  return JSON.parse(ndjson.slice(linesOf(ndjson).length)) as ReturnType<typeof closingOf>;
}

describe('a sound folder', () => {
  test('is called so by `check`, which ends with 0', async () => {
    const { code, stdout, stderr } = await runCli(['check', sound]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Sound: .* entries on [\d,]+ pages.*\.\n$/);
  });

  test('is salvaged to what an export gives, byte for byte, with a closing line that an import takes', async () => {
    const { code, stdout, stderr } = await runCli(['salvage', `lmdb:${sound}`]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^Saved [\d,]+ entries of [\d,]+\.\n$/);
    expect(linesOf(stdout)).toBe(exported);
    expect(closingOf(stdout).salvage).toMatchObject({
      recovered: 0,
      uncertain: 0,
      missing: 0,
      damagedPages: 0,
    });
    const server = await startServer();
    const answer = await ask(server.port, '/kv', { method: 'POST', headers: NDJSON, body: stdout });
    expect(JSON.parse(answer.text)).toMatchObject({ end: true });
    const again = await ask(server.port, '/kv', { headers: { Accept: 'application/x-ndjson' } });
    expect(linesOf(again.text)).toBe(exported);
    await server.end();
  });

  longTest('may be checked and salvaged while its server writes', async () => {
    const { folder, server } = await filled();
    let writing = true;
    const writer = (async () => {
      for (let i = 0; writing; i++) await put(server.port, `user/${i % ENTRIES}`, `written meanwhile ${i}`);
    })();
    for (let round = 0; round < 3; round++) {
      expect(await runCli(['check', folder])).toMatchObject({ code: 0, stderr: '' });
      expect(closingOf((await runCli(['salvage', folder])).stdout).salvage).toMatchObject({
        damagedPages: 0,
      });
    }
    writing = false;
    await writer;
    await server.end();
  });
});

describe('a damaged folder', () => {
  test('is told of line by line, with what can be saved, and ends `check` with 1', async () => {
    const folder = damagedCopy(sound, (bytes, { entries }) => {
      const { valueAt } = entries.get('user/555')!;
      bytes[valueAt]! ^= 1;
    });
    const { code, stdout, stderr } = await runCli(['check', folder]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toMatch(/^entries, key "user\/555": its record fails its checksum \(page \d+\)\n/);
    expect(stdout).toMatch(/\nDamaged: .* can save [\d,]+, of which \d+ may be older or deleted since\.\n$/);
  });

  test('of which an inner page is damaged gives back every entry', async () => {
    const folder = damagedCopy(sound, (bytes, { branches }) =>
      bytes.fill(0, branches[0]! * PAGE, (branches[0]! + 1) * PAGE),
    );
    const { code, stdout, stderr } = await runCli(['salvage', folder]);
    expect(code).toBe(0);
    expect(linesOf(stdout).split('\n').toSorted()).toEqual(exported.split('\n').toSorted());
    expect(stderr).toContain('1 page is damaged');
  });

  test('names the entries that may be older, and says so in its last line', async () => {
    const folder = damagedCopy(sound, (bytes, { leaves }) => {
      for (const leaf of leaves.slice(0, 20)) bytes.fill(0, leaf * PAGE, (leaf + 1) * PAGE);
    });
    const { code, stdout, stderr } = await runCli(['salvage', folder]);
    const { uncertain, missing, note } = closingOf(stdout).salvage;
    expect(code).toBe(0);
    expect(stderr.match(/^may be older or deleted: ".*", written .*Z$/gm) ?? []).toHaveLength(
      uncertain as number,
    );
    expect(uncertain).toBeGreaterThan(0);
    expect(missing).toBeGreaterThan(0);
    expect(note).toContain('may have been deleted since');
    expect(stderr).toContain(`${missing as number} are lost`);
  });

  test('is not compacted', async () => {
    const folder = damagedCopy(sound, (bytes, { leaves }) => (bytes[leaves[3]! * PAGE + 20]! ^= 4));
    const before = readFileSync(join(folder, 'data.mdb'));
    const { code, stderr } = await runCli(['compact', folder]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^pigeonhole: .* is damaged .*nothing was changed\.\n$/);
    expect(readFileSync(join(folder, 'data.mdb')).equals(before)).toBe(true);
  });

  test('of which nothing is left ends `salvage` with 1 and one line', async () => {
    const folder = damagedCopy(sound, (bytes) => bytes.fill(0));
    const { code, stderr } = await runCli(['salvage', folder]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^pigeonhole: .* has no entry that is whole\. .*\n$/);
  });
});

describe('`compact`', () => {
  test('makes the file smaller, for its owner only, with every entry and tag as it was', async () => {
    const folder = damagedCopy(sound);
    const before = statSync(join(folder, 'data.mdb')).size;
    const { code, stdout, stderr } = await runCli(['compact', folder]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^.*: [\d,]+ entries, from [\d.,]+ MiB to [\d.,]+ MiB\.\n$/);
    const { size, mode } = statSync(join(folder, 'data.mdb'));
    expect(size).toBeLessThan(before * 0.8);
    expect(mode & 0o777).toBe(0o600);
    expect(readdirSync(folder).toSorted()).toEqual(['data.mdb', 'lock.mdb']);
    expect(await runCli(['check', folder])).toMatchObject({ code: 0 });
    const portraits = (path: string): string[] =>
      [...new SoundFile(join(path, 'data.mdb')).entries.values()].map(({ portrait }) => portrait);
    expect(portraits(folder)).toEqual(portraits(sound));
    expect((await runCli(['compact', folder])).stdout).toContain('as small as it can be');
    const server = await startServer({ DATABASE_URL: `lmdb:${folder}` });
    const answer = await ask(server.port, '/kv', { headers: { Accept: 'application/x-ndjson' } });
    expect(linesOf(answer.text)).toBe(exported);
    expect((await put(server.port, 'after', 'compact')).status).toBe(201);
    await server.end('SIGTERM');
    expect(await runCli(['check', folder])).toMatchObject({ code: 0 });
  });

  test('is refused while a server has the folder', async () => {
    const folder = damagedCopy(sound);
    const server = await startServer({ DATABASE_URL: `lmdb:${folder}` });
    const { code, stdout, stderr } = await runCli(['compact', folder]);
    await server.end('SIGTERM');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^pigeonhole: A server has .* open\. Stop it first; nothing was changed\.\n$/);
  });

  test('that is interrupted at any moment leaves the folder as it was', async () => {
    const folder = damagedCopy(sound);
    for (const delay of [0, 100, 200, 400]) {
      const cli = new Cli(['compact', folder]);
      await new Promise((resolve) => setTimeout(resolve, delay));
      cli.signal('SIGINT');
      const { code, signal } = await cli.ended;
      expect(signal === 'SIGINT' || code === 130 || code === 0).toBe(true);
      expect(await runCli(['check', folder])).toMatchObject({ code: 0 });
    }
  });
});

describe('what cannot be meant ends with 1 and one line on stderr:', () => {
  const commands = ['salvage', 'compact', 'check'];
  const folders: [string, string][] = [
    ['~/data', 'begins with `~`'],
    ['./x\r', 'has a control character'],
    [' ./x', 'has white space'],
    ['lmdb://./x', 'has `//`'],
    ['', 'has no name'],
    ['./nowhere', 'holds no Pigeonhole database'],
    ['http://127.0.0.1:4000', 'must be the folder of a database on this machine'],
  ];
  test.each(folders.map((each, i) => [commands[i % 3]!, ...each] as const))(
    '%s %j',
    async (command, folder, words) => {
      const cwd = temporaryFolder();
      const { code, stdout, stderr } = await runCli([command, folder], {}, cwd);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^pigeonhole: [^\n]+\n$/);
      expect(stderr).toContain(words);
      expect(readdirSync(cwd)).toEqual([]);
    },
  );

  test.each([
    ['lmdb:~/data', 'begins with `~`'],
    ['lmdb:./x\r', 'has a control character'],
    ['lmdb:./x ', 'has white space'],
    ['lmdb://./x', 'has `//`'],
  ])('DATABASE_URL=%j', async (url, words) => {
    const cwd = temporaryFolder();
    const { code, stderr } = await runCli(['serve'], { PORT: '0', DATABASE_URL: url }, cwd);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^pigeonhole: DATABASE_URL: the folder [^\n]+\n$/);
    expect(stderr).toContain(words);
    expect(readdirSync(cwd)).toEqual([]);
    expect(existsSync('/x')).toBe(false);
  });

  test('a limit of 64 open files', async () => {
    const start = `ulimit -n 64; exec ${JSON.stringify(process.execPath)} ${JSON.stringify(builtCli())}`;
    const folder = temporaryFolder();
    const ended = await run(['bash', '-c', start], { PORT: '0', DATABASE_URL: `lmdb:${folder}` });
    expect(ended.status).toBe(1);
    expect(ended.stderr).toMatch(/^pigeonhole: Too few files may be open at once\. [^\n]+\n$/);
  });
});

test('an output that nobody takes ends `salvage` without a stack', async () => {
  const command = `${JSON.stringify(process.execPath)} ${JSON.stringify(builtCli())} salvage ${JSON.stringify(sound)}`;
  const closed = await run(['bash', '-c', `${command} | head -1`]);
  expect(closed.stderr).not.toContain('    at ');
  const full = await run(['bash', '-c', `${command} > /dev/full`]);
  expect(full.status).toBe(1);
  expect(full.stderr).toMatch(/^pigeonhole: the output cannot be written: [^\n]+\n$/);
});

test('a file that is cut gives back what is whole in it', async () => {
  const folder = damagedCopy(sound);
  const path = join(folder, 'data.mdb');
  truncateSync(path, Math.floor(statSync(path).size / 2));
  const { code, stdout } = await runCli(['salvage', folder]);
  expect(code).toBe(0);
  expect(closingOf(stdout)['count']).toBeGreaterThan(0);
  expect(await runCli(['check', folder])).toMatchObject({ code: 1 });
});
