import { afterEach, expect, test } from '@jest/globals';
import type { OutgoingHttpHeaders } from 'node:http';
import { ask, eachAtOnce } from '../../../support/http.js';
import { expectProblem } from '../../../support/kv.js';
import { EventStream } from '../../../support/events.js';
import { startInProcess, type Target } from '../../../support/target.js';

const PLACES = 100;

let target: Target;
const open: EventStream[] = [];
afterEach(async () => {
  for (const stream of open.splice(0)) stream.close();
  await target.close();
});

async function watch(headers?: OutgoingHttpHeaders): Promise<void> {
  open.push(await EventStream.live(target.port, '/kv/a', headers));
}

async function expectNoPlace(headers?: OutgoingHttpHeaders): Promise<void> {
  const answer = await ask(target.port, '/kv/b', { headers: { Accept: 'text/event-stream', ...headers } });
  expect(expectProblem(answer, 503, 'busy')).toMatchObject({ limit: PLACES });
}

const fill = (headers?: OutgoingHttpHeaders) =>
  eachAtOnce(Array.from({ length: PLACES }), 20, () => watch(headers));

test('one more client of another machine is 503, and a long-poll is answered at once', async () => {
  target = await startInProcess({}, '192.0.2.7');
  await fill();
  await expectNoPlace();
  const poll = await ask(target.port, '/kv/b', { headers: { Prefer: 'wait=60' } });
  expectProblem(poll, 404, 'missing-key');
  expect(poll.headers['preference-applied']).toBeUndefined();
});

test.each(['127.0.0.1', '127.0.0.8', '::1', '::ffff:127.0.0.1'])(
  'clients of this machine, %s, are not counted',
  async (address) => {
    target = await startInProcess({}, address);
    await fill();
    await watch();
  },
);

/** What a proxy sends for a client that claims to be another one. */
const behind = (address: string) => ({ 'X-Forwarded-For': `203.0.113.1, ${address}` });

test.each([
  ['127.0.0.1', '198.51.100.1', '198.51.100.2'],
  ['::ffff:127.0.0.1', '2001:db8:1:2::3', '2001:db8:1:3::3'],
])('clients behind a trusted proxy, %s, are counted by their own addresses', async (proxy, one, other) => {
  target = await startInProcess({ TRUSTED_PROXIES: '127.0.0.1' }, proxy);
  await fill(behind(one));
  await expectNoPlace(behind(one));
  await watch(behind(other));
});

test('a client that is no trusted proxy has the address it has, whatever it says', async () => {
  target = await startInProcess({ TRUSTED_PROXIES: '127.0.0.1' }, '192.0.2.7');
  await fill();
  await expectNoPlace(behind('198.51.100.1'));
});

test('all addresses of a /64 network of IPv6 count as one, because one client can have them all', async () => {
  target = await startInProcess({ TRUSTED_PROXIES: '127.0.0.1' }, '127.0.0.1');
  await eachAtOnce(Array(PLACES).keys(), 20, (i) => watch(behind(`2001:db8:1:2::${i}`)));
  await expectNoPlace(behind('2001:db8:1:2:ffff::1'));
});
