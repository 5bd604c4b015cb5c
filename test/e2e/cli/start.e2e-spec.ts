import { expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { builtCli } from '../../support/cli.js';
import { ask } from '../../support/http.js';
import { startInProcess } from '../../support/target.js';

/** Parts of Node that take milliseconds to load, by the names under which Node lists what is loaded. */
const HEAVY =
  /webstreams\/(readable|writable)|readline\/promises$|\/undici|^NativeModule (https|http2|tls|crypto)$/;
/** Prints at its end what of Node the process has loaded. */
const LIST = `data:text/javascript,process.on('exit', () => console.error(process.moduleLoadList.join('\\n')))`;

test('a command that reads a small value loads none of the large parts of Node', async () => {
  const server = await startInProcess();
  await ask(server.port, '/kv/a', { method: 'PUT', body: 'x' });
  const env = { PATH: process.env['PATH'], PIGEONHOLE_URL: `http://127.0.0.1:${server.port}` };
  const args = ['--import', LIST, builtCli(), 'get', 'a'];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env });
  const loaded = stderr.split('\n');
  expect(stdout).toBe('x');
  expect(loaded).toContain('NativeModule http');
  expect(loaded.filter((name) => HEAVY.test(name))).toEqual([]);
  await server.close();
});
