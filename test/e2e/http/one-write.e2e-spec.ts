import { expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { startServer } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** Makes Node one that lets nobody but itself send something of an answer. */
const OTHER_NODE = `
  import { OutgoingMessage } from 'node:http';
  const { _send, end } = OutgoingMessage.prototype;
  let isEnding = false;
  OutgoingMessage.prototype.end = function (...args) {
    isEnding = true;
    end.apply(this, args);
    isEnding = false;
    return this;
  };
  OutgoingMessage.prototype._send = function (...args) {
    if (!isEnding) throw new TypeError('_send is private');
    return _send.apply(this, args);
  };
`;

/** From version 24 on Node does it by itself. */
const takesTwo = Number(process.versions.node.split('.')[0]) < 24;

(takesTwo ? test : test.skip)(
  'a Node whose insides are others answers in its own way, and the log says so',
  async () => {
    const file = join(temporaryFolder(), 'other-node.mjs');
    writeFileSync(file, OTHER_NODE);
    const server = await startServer({ NODE_OPTIONS: `--import=${pathToFileURL(file).href}` });
    expect(await ask(server.port, '/set?a=b')).toMatchObject({ status: 201, text: '{"a":"b"}' });
    expect(await ask(server.port, '/kv/a')).toMatchObject({ status: 200, text: 'b' });
    await eventually(() => server.output().stdout.includes('is not one that Pigeonhole is made for'));
    await server.end();
  },
);

test('on this Node nothing is said', async () => {
  const server = await startServer();
  expect((await ask(server.port, '/get?key=a')).status).toBe(400);
  expect(server.output().stdout).not.toContain('is made for');
  await server.end();
});
