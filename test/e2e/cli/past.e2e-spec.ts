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
  expect(await pigeonhole('undo', 'absent')).toMatchObject({ code: 3, stdout: '' });
});
