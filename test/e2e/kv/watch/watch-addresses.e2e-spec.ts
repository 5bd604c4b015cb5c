import { afterEach, expect, test } from '@jest/globals';
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

async function watch(): Promise<void> {
  open.push(await EventStream.live(target.port, '/kv/a'));
}

/** A server on which as many watch as one address may, all of them from `address`. */
async function startWithAllFrom(address: string): Promise<void> {
  target = await startInProcess({}, address);
  await eachAtOnce(Array.from({ length: PLACES }), 20, watch);
}

test('one more client of another machine is 503, and a long-poll is answered at once', async () => {
  await startWithAllFrom('192.0.2.7');
  const answer = await ask(target.port, '/kv/b', { headers: { Accept: 'text/event-stream' } });
  expect(expectProblem(answer, 503, 'busy')).toMatchObject({ limit: PLACES });
  const poll = await ask(target.port, '/kv/b', { headers: { Prefer: 'wait=60' } });
  expectProblem(poll, 404, 'missing-key');
  expect(poll.headers['preference-applied']).toBeUndefined();
});

test.each(['127.0.0.1', '127.0.0.8', '::1', '::ffff:127.0.0.1'])(
  'clients of this machine, %s, are not counted',
  async (address) => {
    await startWithAllFrom(address);
    await watch();
  },
);
