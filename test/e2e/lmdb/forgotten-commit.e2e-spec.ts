import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, getPath, setPath } from '../../support/http.js';
import { startServer } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const PAGE = 4096;
/** Where a header of the data file has the number of its commit. */
const NUMBER_AT = 152;

function lastCommit(folder: string): bigint {
  const file = readFileSync(join(folder, 'data.mdb'));
  const [one, other] = [0, PAGE].map((page) => file.readBigUInt64LE(page + NUMBER_AT));
  return one! > other! ? one! : other!;
}

/** Does what any LMDB program does that opens the folder while a commit ends, such as `mdb_stat`. */
function forgetLastCommit(folder: string): void {
  const last = lastCommit(folder);
  const script = `
    const fs = require('node:fs');
    const file = fs.openSync(${JSON.stringify(join(folder, 'lock.mdb'))}, 'r+');
    const head = Buffer.alloc(256);
    fs.readSync(file, head, 0, 256, 0);
    const last = Buffer.alloc(8);
    last.writeBigUInt64LE(${last}n);
    const at = head.indexOf(last);
    last.writeBigUInt64LE(${last - 1n}n);
    if (at < 0 || fs.writeSync(file, last, 0, 8, at) !== 8) process.exit(1);`;
  expect(spawnSync(process.execPath, ['-e', script], { stdio: 'inherit' }).status).toBe(0);
}

test('a commit that another program has made LMDB forget is not overwritten', async () => {
  const folder = temporaryFolder();
  const server = await startServer({ DATABASE_URL: `lmdb:${folder}` });
  for (let i = 0; i < 3; i++) {
    await ask(server.port, setPath('a', `before ${i}`));
    const acknowledged = await ask(server.port, setPath('a', `last ${i}`));
    forgetLastCommit(folder);
    const next = await ask(server.port, setPath('b', String(i)));
    expect([acknowledged.status, next.status]).toEqual([200, i === 0 ? 201 : 200]);
    expect((await ask(server.port, getPath('a'))).text).toBe(`{"a":"last ${i}"}`);
    expect((await ask(server.port, getPath('b'))).text).toBe(`{"b":"${i}"}`);
  }
  expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });
  const again = await startServer({ DATABASE_URL: `lmdb:${folder}` });
  expect((await ask(again.port, getPath('a'))).text).toBe('{"a":"last 2"}');
  await again.end();
});
