import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runCli, type Ended } from '../../support/cli.js';
import { startInProcess, type Target } from '../../support/target.js';
import { ask } from '../../support/http.js';
import { stored, valueOf } from '../../support/kv.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

let target: Target;
const pigeonhole = (...args: string[]) => runCli(args, { PIGEONHOLE_URL: `http://127.0.0.1:${target.port}` });

beforeAll(async () => {
  target = await startInProcess({ DATABASE_URL: `lmdb:${temporaryFolder()}` });
});
afterAll(() => target.close());

function done({ code, stdout, stderr }: Ended): string {
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

test('history, get --at, diff and undo lead through the versions of an entry', async () => {
  const tags = [];
  for (const text of ['one\nsame\n', 'two\nsame\n'])
    tags.push((await stored(target.port, 'a', text)).slice(1, -1));
  await ask(target.port, '/kv/a', { method: 'DELETE' });
  const lines = done(await pigeonhole('history', 'a'))
    .trim()
    .split('\n');
  const versions = lines.map((line) => JSON.parse(line) as { kind: string; etag: string; value?: string });
  expect(versions.map(({ kind, value }) => [kind, value])).toEqual([
    ['delete', undefined],
    ['put', 'two\nsame\n'],
    ['put', 'one\nsame\n'],
  ]);
  expect(done(await pigeonhole('history', 'a', '--limit', '1')).trim()).toBe(lines[0]);
  expect(done(await pigeonhole('get', 'a', '--at', tags[0]!))).toBe('one\nsame\n');
  expect(done(await pigeonhole('diff', 'a', tags[0]!, tags[1]!))).toContain('\n-one\n+two\n same\n');
  expect(done(await pigeonhole('diff', 'a', tags[1]!))).toContain('\n-two\n-same\n');
  expect(JSON.parse(done(await pigeonhole('undo', 'a')))).toEqual({ key: 'a', deleted: false });
  expect(await valueOf(target.port, 'a')).toBe('two\nsame\n');
  done(await pigeonhole('undo', 'a', '--to', tags[0]!));
  expect(await valueOf(target.port, 'a')).toBe('one\nsame\n');
  for (const args of [['undo'], ['history'], ['diff', tags[0]!], ['get', '--at', tags[0]!]])
    expect(await pigeonhole(args[0]!, 'absent', ...args.slice(1))).toMatchObject({ code: 3, stdout: '' });
});

test('restore puts a folder back, after it has been counted, and only where it was said that it may', async () => {
  const tag = (await stored(target.port, 'b/1', 'before')).slice(1, -1);
  await stored(target.port, 'b/1', 'after');
  await stored(target.port, 'b/2', 'new');
  const args = ['restore', '--prefix', 'b/', '--at', tag];
  const report = { restored: 1, deleted: 1, unchanged: 0 };
  expect(await pigeonhole(...args)).toMatchObject({ code: 64, stdout: '' });
  expect(JSON.parse(done(await pigeonhole(...args, '--dry-run')))).toMatchObject({ ...report, dryRun: true });
  expect(await valueOf(target.port, 'b/1')).toBe('after');
  expect(JSON.parse(done(await pigeonhole(...args, '--yes')))).toMatchObject({ ...report, dryRun: false });
  expect(await valueOf(target.port, 'b/1')).toBe('before');
  expect((await pigeonhole('get', 'b/2')).code).toBe(3);
  expect((await pigeonhole('restore', '--prefix', 'b/')).code).toBe(64);
});

test.each([
  [['put', 'a', 'x', '--ttl', '5x'], '`ttl` must be'],
  [['touch', 'a', 'soon'], '`ttl` must be'],
  [['put', 'k'.repeat(1025), 'x'], 'A key'],
  [['put', 'a', 'x', '--type', 'no type'], 'Content-Type'],
  [['put', 'a', 'x', '--if-match', 'no "tag'], 'If-Match'],
  [['get', 'a', '--at', 'then'], '`at` must be'],
  [['undo', 'a', '--to', 'then'], '--to must be'],
  [['undo', 'a', '--to', ''], '--to is empty. ['],
  [['diff', 'a', 'then'], 'A version must be'],
])('an argument that the server finds wrong ends with 64: %j', async (args, words) => {
  const { code, stdout, stderr } = await pigeonhole(...args);
  expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  expect(stderr).toMatch(/^pigeonhole: [^\n]+\n$/);
  expect(stderr).toContain(words);
});
