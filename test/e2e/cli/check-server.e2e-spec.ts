import { beforeAll, describe, expect, test } from '@jest/globals';
import { runCli } from '../../support/cli.js';
import { damagedCopy, PAGE } from '../../support/damaged-file.js';
import { batch } from '../../support/kv.js';
import { startServer } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const ENTRIES = 900;
const sound = temporaryFolder();

beforeAll(async () => {
  const server = await startServer({ DATABASE_URL: `lmdb:${sound}` });
  const ops = Array.from({ length: ENTRIES }, (_, i) => ({
    op: 'put',
    key: `user/${i}`,
    value: `value ${i} `.repeat(8),
  }));
  expect((await batch(server.port, ops)).status).toBe(200);
  await server.end('SIGTERM');
});

describe('`check` of a running server', () => {
  /** What it says of the server on a folder. */
  async function checked(folder: string, args: (url: string) => string[] = (url) => [url]) {
    const server = await startServer({ DATABASE_URL: `lmdb:${folder}` });
    const url = `http://127.0.0.1:${server.port}`;
    const ended = await runCli(['check', ...args(url)], { PIGEONHOLE_URL: url });
    await server.end('SIGTERM');
    return ended;
  }

  test.each([
    ['named as an argument', (url: string) => [url]],
    ['named by --url', (url: string) => ['--url', url]],
    ['named by the environment', () => []],
  ])('%s calls sound entries so, ends with 0, and says what it has not read', async (_how, args) => {
    const { code, stdout, stderr } = await checked(damagedCopy(sound), args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      /^Sound: [\d,]+ entries are whole at http.*\. Indexes .* `pigeonhole check <folder>`/,
    );
  });

  test('lists the damaged entries, and ends with 1', async () => {
    const folder = damagedCopy(sound, (bytes, { entries }) => {
      for (const key of ['user/555', 'user/777']) bytes[entries.get(key)!.valueAt]! ^= 1;
    });
    const { code, stdout, stderr } = await checked(folder);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    const lines = stdout.split('\n');
    expect(lines.slice(0, 2)).toEqual(
      ['user/555', 'user/777'].map((key) => `entries, key "${key}": its record is damaged`),
    );
    expect(lines[2]).toMatch(/^Damaged: .* has 2 damaged entries\. [\d,]+ entries are whole/);
  });

  test('says that an answer broke off where a page has come to another place, and ends with 1', async () => {
    const folder = damagedCopy(sound, (bytes, { leaves }) => {
      const [from, to] = [leaves[4]! * PAGE, leaves[5]! * PAGE];
      // A page begins with its own number.
      bytes.copy(bytes, to + 8, from + 8, from + PAGE);
    });
    const { code, stdout, stderr } = await checked(folder);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^pigeonhole: [^\n]*`pigeonhole check <folder>`[^\n]*\n$/);
  });

  test('and of a folder at once is refused with 64', async () => {
    const { code, stderr } = await runCli(['check', sound, '--url', 'http://127.0.0.1:1']);
    expect({ code, stderr }).toEqual({ code: 64, stderr: expect.stringContaining('a folder, or a server') });
  });
});
