import { expect, it } from '@jest/globals';
import { runOnBuild, saidBy } from '../../support/built.js';
import { canMount } from '../../support/machine.js';
import { describeWhere } from '../../support/requires.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const describeDisk = describeWhere(canMount(), 'unshare -m is not permitted, so no small disk can be made');

const disk = temporaryFolder();

/** The beginning of every script: a disk of 64 MiB, a database on it, and functions that put and read values of 100 kB. */
const ON_A_SMALL_DISK = () => `
  const fs = await import('node:fs');
  const { execFileSync } = await import('node:child_process');
  const disk = ${JSON.stringify(disk)};
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', disk]);
  const make = () => new LmdbEngine(disk + '/data', { onFailure: (error) => say('failed: ' + error.message), maxSnapshotAge: 600000, watchLogBytes: 1 << 20 });
  let engine = make();
  await engine.open();
  const valueOf = (i) => Buffer.alloc(100000, 'v' + i);
  const codeOf = (work) => work.then(() => 'ok', (error) => error.code ?? String(error));
  const put = (i) => codeOf(engine.write({ op: 'put', key: 'k' + i, value: valueOf(i), type: 'x/y', expiry: 'never' }));
  const remove = (i) => codeOf(engine.write({ op: 'delete', key: 'k' + i }));
  const fill = async () => { let i = 0; for (let code = 'ok'; code === 'ok' && i < 2000; i++) code = await put(i); return i - 1; };
  const readable = (from, to) => { let n = 0; for (let i = from; i < to; i++) if (engine.get('k' + i)?.value.equals(valueOf(i))) n++; return n; };
  /** Fills the rest of the disk, as another program may. */
  const takeTheRest = () => {
    const file = fs.openSync(disk + '/other', 'w');
    try { for (let i = 0; i < 100000; i++) fs.writeSync(file, Buffer.alloc(4096)); } catch (error) { say(error.code); }
    fs.closeSync(file);
  };
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  /** Puts once there is room again. */
  const putAgain = async () => {
    for (let tries = 0; tries < 2000; tries++) {
      const code = await put('again');
      if (code !== 'disk-full') return code;
      await pause(50);
    }
  };
`;

async function said(script: string): Promise<unknown[]> {
  const ended = await runOnBuild(ON_A_SMALL_DISK() + script, { under: ['unshare', '-m'] });
  expect([ended.status, ended.signal]).toEqual([0, null]);
  return saidBy(ended);
}

describeDisk('on a full disk', () => {
  it('puts are refused as disk-full, acknowledged values are read, and after deletes puts work again', async () => {
    const answers = await said(`
      const count = await fill();
      say(count > 300);
      say(await put('more'));
      say((await engine.stats()).availableBytes < 200000);
      say(readable(0, count) === count);
      for (let i = 0; i < 100; i++) if ((await remove(i)) !== 'ok') say('delete refused');
      say(await putAgain());
      say(readable(100, count) === count - 100);
      await engine.close();
      engine = make();
      await engine.open();
      say(readable(100, count) === count - 100);
      say((await engine.count({ prefix: '' })).keys === count - 99);
      await engine.close();
    `);
    expect(answers).toEqual([true, 'disk-full', true, true, 'ok', true, true, true]);
  });

  it('without a free byte, deletes and reads go on, and puts do as soon as there is space', async () => {
    const answers = await said(`
      const count = await fill();
      takeTheRest();
      const codes = new Set();
      for (let i = 0; i < 20; i++) codes.add(await put('more' + i));
      say([...codes]);
      say(readable(0, count) === count);
      for (let i = 0; i < count; i += 2) if ((await remove(i)) !== 'ok') say('delete refused');
      say((await engine.count({ prefix: '' })).keys === count - Math.ceil(count / 2));
      fs.rmSync(disk + '/other');
      say(await putAgain());
      await engine.close();
    `);
    expect(answers).toEqual(['ENOSPC', ['disk-full'], true, true, 'ok']);
  });

  it('that fills up during a commit, nothing is applied, and puts work again once there is space', async () => {
    // A reader pins the pages that deletes free, so that puts cannot reuse them.
    const answers = await said(`
      const count = await fill();
      const scan = engine.scan({ prefix: '', values: false })[Symbol.asyncIterator]();
      await scan.next();
      for (let i = 0; i < count - 100; i++) await remove(i);
      takeTheRest();
      await pause(200);
      const codes = new Set();
      const acknowledged = [];
      for (let round = 0; round < 50; round++) {
        const batch = Array.from({ length: 10 }, (_, i) => 10000 + round * 10 + i);
        const results = await Promise.all(batch.map(put));
        results.forEach((code, i) => { codes.add(code); if (code === 'ok') acknowledged.push(batch[i]); });
      }
      codes.delete('ok');
      say([...codes]);
      say(acknowledged.every((i) => readable(i, i + 1) === 1));
      say(readable(count - 100, count));
      await scan.return();
      fs.rmSync(disk + '/other');
      say(await putAgain());
      await engine.close();
      engine = make();
      await engine.open();
      say(acknowledged.every((i) => readable(i, i + 1) === 1));
      say(readable(count - 100, count));
      await engine.close();
    `);
    expect(answers).toEqual(['ENOSPC', ['disk-full'], true, 100, 'ok', true, 100]);
  });

  it('a backup without room is refused, one that runs out of it fails, and the database does not notice', async () => {
    const answers = await said(`
      const backUp = () => codeOf(engine.backup().then((copy) => copy.release()));
      const putAll = (from, to) => Promise.all(Array.from({ length: to - from }, (_, i) => put(from + i)));
      say(new Set(await putAll(0, 200)).size);
      const running = backUp();
      await pause(20);
      takeTheRest();
      // Whichever notices first: the file of the backup, or the guard of the room, which ends long reads.
      say(['disk-full', 'unavailable'].includes(await running));
      fs.rmSync(disk + '/other');
      say(await putAgain());
      say(await backUp());
      say(new Set(await putAll(200, 400)).size);
      say(await backUp());
      say(await put('more'));
      say(readable(0, 400) === 400);
      await engine.close();
    `);
    expect(answers).toEqual([1, 'ENOSPC', true, 'ok', 'ok', 1, 'disk-full', 'ok', true]);
  });
});
