import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DataFile } from '../../support/data-file.js';
import { ask, getPath, setPath } from '../../support/http.js';
import { startServer } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** Does what any LMDB program does that opens the folder while a commit ends, such as `mdb_stat`. */
function forgetLastCommit(folder: string): void {
  const [first, second] = new DataFile(join(folder, 'data.mdb')).commits;
  const last = first > second ? first : second;
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
