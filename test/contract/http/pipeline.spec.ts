import { expect, test } from '@jest/globals';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { inOrder } from '../../../src/http/server/pipeline.js';
import { exchange } from '../../support/raw-http.js';
import { countTurns } from '../../support/turns.js';

const COUNT = 200;

/** As long as many a read takes, so that all together take far longer than others can wait. */
function work(): void {
  for (const until = performance.now() + 1; performance.now() < until;);
}

test('others have their turns while the requests of one segment are answered, in their order', async () => {
  let turns: ReturnType<typeof countTurns> | undefined;
  let between = 0;
  const begun: string[] = [];
  const server = http.createServer((request, response) =>
    inOrder(request, response, () => {
      turns ??= countTurns();
      work();
      begun.push(request.url!);
      if (begun.length === COUNT) between = turns.stop();
      response.end(request.url);
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const paths = Array.from({ length: COUNT }, (_, i) => `/${i}`);
  const requests = paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join('');
  const { answers } = await exchange(port, requests, { enough: (all) => all.length === COUNT });
  expect(begun).toEqual(paths);
  expect(answers.map(({ body }) => body)).toEqual(paths);
  // 200 ms of work, of which a turn takes some.
  expect(between).toBeGreaterThan(10);
  await new Promise((resolve) => server.close(resolve));
});
