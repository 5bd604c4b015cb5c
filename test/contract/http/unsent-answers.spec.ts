import { afterEach, beforeEach, expect, test } from '@jest/globals';
import http, { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { countUnsent, limitUnsent } from '../../../src/http/answer/unsent-answers.js';
import { oneByOne } from '../../../src/storage/value-memory.js';
import { codeOf } from '../shorthand.js';
import { ask } from '../../support/http.js';

const MIB = 2 ** 20;

let server: http.Server;
let port: number;
let unread: ServerResponse;

beforeEach(async () => {
  class Answer extends ServerResponse {}
  server = http.createServer({ ServerResponse: Answer }, (request, response) => {
    if (request.url === '/unread') {
      unread = response;
      countUnsent(response, MIB);
      response.flushHeaders();
    } else void answer(response, request.url === '/read');
  });
  limitUnsent(server, Answer, MIB);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});

afterEach(() => new Promise((resolve) => server.close(resolve)));

async function answer(response: ServerResponse, isRead: boolean): Promise<void> {
  const counting = Promise.resolve().then(() => countUnsent(response, MIB, isRead || undefined));
  response.end(
    await counting.then(
      () => 'fits',
      () => codeOf(counting),
    ),
  );
}

test('beside answers that nobody reads one is refused that has read only, whatever its method, and no other', async () => {
  const held = http.get({ port, path: '/unread' });
  await new Promise((resolve) => held.on('response', resolve));
  const post = async (path: string) => (await ask(port, path, { method: 'POST' })).text;
  expect(await post('/read')).toBe('busy');
  expect(await post('/written')).toBe('fits');
  expect((await ask(port, '/')).text).toBe('busy');
  unread.destroy();
  held.on('error', () => undefined).destroy();
});

test('a large value is read when those before it are answered', async () => {
  const order: string[] = [];
  const read = (name: string) =>
    oneByOne(async () => {
      order.push(`reads ${name}`);
      if (name === 'b') throw new Error('b');
      return Promise.resolve(name);
    });
  const answers = ['a', 'b', 'c'].map(async (name) => {
    const found = await read(name).catch(() => 'no');
    for (let i = 0; i < 10; i++) await Promise.resolve();
    order.push(`answers ${found}`);
  });
  await Promise.all(answers);
  expect(order).toEqual(['reads a', 'answers a', 'reads b', 'answers no', 'reads c', 'answers c']);
});
