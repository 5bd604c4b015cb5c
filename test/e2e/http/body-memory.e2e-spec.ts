import { afterAll, beforeAll, describe, test } from '@jest/globals';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { eachAtOnce } from '../../support/http.js';
import { stored } from '../../support/kv.js';
import { startInProcess, type Target } from '../../support/target.js';

const MIB = 2 ** 20;
/** With values of 1 MiB the bodies may take 64 MiB in all. */
const CLIENTS = 150;

const put = (header: string) => `PUT /kv/a HTTP/1.1\r\nHost: localhost\r\n${header}\r\n\r\n`;
const sized = put(`Content-Length: ${MIB}`);
const chunked = put('Transfer-Encoding: chunked');

const waiting = 'GET /kv/none HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=30\r\n\r\n';
const body = 'x'.repeat(MIB);
const chunk = `${MIB.toString(16)}\r\n${body}\r\n`;

describe('the memory of a body is free again', () => {
  let target: Target;
  beforeAll(async () => {
    target = await startInProcess({ MAX_VALUE_BYTES: String(MIB) });
  });
  afterAll(() => target.close());

  test.each([
    ['after its answer', sized + body],
    ['when its client goes away in the middle', sized + body.slice(1)],
    ['when its client goes away in the middle of a chunk', chunked + chunk.slice(0, -100)],
    ['when it is too large', chunked + chunk.repeat(2)],
    ['when its client goes away before the answer has its turn', waiting + sized + body],
  ])('%s', async (_when, bytes) => {
    await eachAtOnce(Array.from({ length: CLIENTS }), 8, async () => {
      const socket = net.connect(target.port, '127.0.0.1');
      await new Promise((resolve) => socket.on('error', resolve).write(bytes, resolve));
      await pause(10);
      socket.destroy();
    });
    await pause(50);
    for (let i = 0; i < 3; i++) await stored(target.port, 'b', body);
  });
});
