import { beforeEach, expect, it } from '@jest/globals';
import { constants } from 'node:os';
import { join } from 'node:path';
import { runOnBuild, saidBy } from '../../support/built.js';
import { compilePreload } from '../../support/machine.js';
import { describeWhere } from '../../support/requires.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const shim = compilePreload('failing-disk', temporaryFolder());
const describeDisk = describeWhere(shim !== undefined, 'there is no gcc to make a disk that fails');

let folder: string;
let flag: string;

beforeEach(() => {
  folder = temporaryFolder();
  flag = join(temporaryFolder(), 'flag');
});

const ENGINE = () => `
  const fs = await import('node:fs');
  const engine = new LmdbEngine(${JSON.stringify(folder)}, { onFailure: () => say('failed'), maxSnapshotAge: 600000, watchLogBytes: 1 << 20 });
  await engine.open();
  const codeOf = (work) => work.then(() => 'ok', (error) => error.code ?? String(error));
  const put = (key, size = 100) =>
    codeOf(engine.write({ op: 'put', key, value: Buffer.alloc(size, key), type: 'x/y', expiry: 'never' }));
  const has = (...keys) => keys.map((key) => engine.get(key)?.value.every((byte) => byte === key.charCodeAt(0)) ?? null);
  const flag = ${JSON.stringify(flag)};
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
`;

/** After a failed write LMDB may find its memory damaged when the process ends, and abort; everything has been said by then. */
const AFTER_FAILURE = [0, 'SIGABRT'];

async function said(
  script: string,
  env: Record<string, string> = {},
  ends: readonly unknown[] = [0],
): Promise<unknown[]> {
  const ended = await runOnBuild(ENGINE() + script, { env: { FAIL_FLAG: flag, ...env } });
  expect(ends).toContain(ended.signal ?? ended.status);
  return saidBy(ended);
}

describeDisk('when the disk fails', () => {
  it.each(['sync', 'write'])('in a %s, a large write alone is outcome-unknown, too', async (calls) => {
    const answers = await said(
      `
      say(await put('a', 300000));
      fs.writeFileSync(flag, '');
      say(await put('a', 400000));
      say(await put('b'));
      fs.rmSync(flag);
      process.exit(0);`,
      { LD_PRELOAD: shim!, FAIL_CALLS: calls },
      AFTER_FAILURE,
    );
    expect(answers).toEqual(['ok', 'failed', 'outcome-unknown', 'unavailable']);
    const reopened = `say(engine.get('a').size); say(await put('b')); await engine.close();`;
    expect(await said(reopened)).toEqual([300000, 'ok']);
  });

  it.each(['sync', 'write'])(
    'in a %s, the writes of the commit are outcome-unknown, the store fails, and no acknowledged write is lost',
    async (calls) => {
      const answers = await said(
        `
        say(await Promise.all([put('a'), put('b', 300000)]));
        fs.writeFileSync(flag, '');
        say(await Promise.all([put('c'), put('d', 60000)]));
        say(await put('e'));
        say(has('a', 'b', 'c', 'd'));
        fs.rmSync(flag);
        say(await put('f'));
        await pause(1200);
        process.exit(0);`,
        { LD_PRELOAD: shim!, FAIL_CALLS: calls },
        AFTER_FAILURE,
      );
      expect(answers).toEqual([
        ['ok', 'ok'],
        'failed',
        ['outcome-unknown', 'outcome-unknown'],
        'unavailable',
        [true, true, null, null],
        'unavailable',
      ]);
      const reopened = `say(has('a', 'b', 'e', 'f')); say(await put('g')); say(has('g')); await engine.close();`;
      expect(await said(reopened)).toEqual([[true, true, null, null], 'ok', [true]]);
    },
  );

  it.each(['EDQUOT', 'EFBIG', 'ENOSPC'] as const)(
    'with %s, it is full: writes are disk-full, reads go on, and writes do as soon as there is space',
    async (name) => {
      const answers = await said(
        `
        say(await put('a'));
        fs.writeFileSync(flag, '');
        say(await Promise.all([put('b'), put('c', 300000)]));
        say(await put('d'));
        say(has('a', 'b', 'c', 'd'));
        fs.rmSync(flag);
        say(await put('e'));
        say(has('a', 'b', 'e'));
        await engine.close();`,
        { LD_PRELOAD: shim!, FAIL_CALLS: 'write', FAIL_ERRNO: String(constants.errno[name]) },
      );
      expect(answers).toEqual([
        'ok',
        ['disk-full', 'disk-full'],
        'disk-full',
        [true, null, null, null],
        'ok',
        [true, null, true],
      ]);
    },
  );

  it('to take more than a part of a write, because the file may be no longer, it is full', async () => {
    const answers = await said(`
      const { execFileSync } = await import('node:child_process');
      const limit = (bytes) => execFileSync('prlimit', ['--fsize=' + bytes + ':', '--pid', String(process.pid)]);
      say(await put('a'));
      limit(2 ** 19);
      say(await put('b', 900000));
      say(await put('c'));
      limit('unlimited');
      say(await put('b', 900000));
      say(has('a', 'b', 'c'));
      await engine.close();`);
    expect(answers).toEqual(['ok', 'disk-full', 'ok', 'ok', [true, true, true]]);
  });

  it('to answer, the writes of the commit are outcome-unknown and later ones unavailable, until it answers again', async () => {
    const answers = await said(
      `
      say(await put('a'));
      fs.writeFileSync(flag, '');
      const inside = put('b');
      await pause(300);
      const waiting = put('c');
      say(has('a', 'b', 'c'));
      say([await inside, await waiting, await put('d')]);
      say(has('a', 'b', 'c'));
      fs.rmSync(flag);
      for (let tries = 0; tries < 2000 && (await put('e')) !== 'ok'; tries++) await pause(50);
      say(has('a', 'c', 'd', 'e'));
      await engine.close();`,
      { LD_PRELOAD: shim!, FAIL_CALLS: 'hang' },
    );
    // No read shows what is not on the disk yet.
    expect(answers).toEqual([
      'ok',
      [true, null, null],
      ['outcome-unknown', 'unavailable', 'unavailable'],
      [true, null, null],
      [true, null, null, true],
    ]);
  });
});
