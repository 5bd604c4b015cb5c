import { expect, test } from '@jest/globals';
import http from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { text as streamText } from 'node:stream/consumers';
import { TEXT, type Entry } from '../../../src/storage/entry.js';
import { exportRange } from '../../../src/kv/transfer/exporter.js';

/* What is made and sent at once holds up everybody, so that a value of many megabytes becomes a line in pieces. */

const MIB = 2 ** 20;
const MOST_AT_ONCE = 2 * MIB;
const HEAD_END = '\r\n\r\n';

function entryOf(value: Buffer): Entry {
  return {
    key: 'k',
    value,
    type: TEXT,
    size: value.length,
    etag: '0-0',
    created: 1,
    modified: 1,
    expires: 0,
  };
}

/** Returns the body of an export of one entry, and the length of its longest chunk. */
async function exported(value: Buffer): Promise<{ text: string; longest: number }> {
  const server = http.createServer((_, response) => {
    async function* range() {
      yield [entryOf(value)];
    }
    response.shouldKeepAlive = false;
    void exportRange(response, range(), []);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1').setEncoding('latin1');
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const all = await streamText(socket);
  await new Promise((resolve) => server.close(resolve));
  let [text, longest] = ['', 0];
  for (let at = all.indexOf(HEAD_END) + HEAD_END.length; ;) {
    const lineEnd = all.indexOf('\r\n', at);
    const length = Number.parseInt(all.slice(at, lineEnd), 16);
    if (!(length > 0)) return { text, longest };
    longest = Math.max(longest, length);
    text += all.slice(lineEnd + 2, lineEnd + 2 + length);
    at = lineEnd + 2 + length + 2;
  }
}

test.each([
  ['text', 'x', 16 * MIB, 'value'],
  ['text that JSON escapes', '\n', 12 * MIB, 'value'],
  ['text that would be longer in JSON than a line may be', '\u0001', 6 * MIB, 'base64'],
])('a large value goes out in pieces: %s', async (_, letter, bytes, member) => {
  const { text, longest } = await exported(Buffer.alloc(bytes, letter));
  expect(longest).toBeLessThan(MOST_AT_ONCE);
  const [line, closing] = text.trimEnd().split('\n');
  const { value, base64 } = JSON.parse(line!) as { value?: string; base64?: string };
  expect(member === 'value' ? base64 : value).toBeUndefined();
  const back = value === undefined ? Buffer.from(base64!, 'base64') : Buffer.from(value);
  expect(back.equals(Buffer.alloc(bytes, letter))).toBe(true);
  expect(JSON.parse(closing!)).toMatchObject({ end: true, count: 1 });
});
