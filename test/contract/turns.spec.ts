import { expect, test } from '@jest/globals';
import { inTurns, type Turns } from '../../src/http/request/turns.js';

function* steps(count: number, step: () => void = () => undefined): Turns<number> {
  for (let i = 0; i < count; i++) {
    step();
    yield;
  }
  return count;
}

function busyFor(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until;);
}

test('short work is done at once, and its error thrown at once', () => {
  // What has no more than one step is short on the slowest machine, too.
  expect(inTurns(steps(1))).toBe(1);
  const failing = () =>
    inTurns(
      steps(1, () => {
        throw new Error('no');
      }),
    );
  expect(failing).toThrow('no');
});

test('long work lets others in between', async () => {
  let others = 0;
  let done = false;
  const work = Promise.resolve(inTurns(steps(30, () => busyFor(2)))).finally(() => (done = true));
  while (!done) {
    await new Promise(setImmediate);
    others++;
  }
  expect(await work).toBe(30);
  expect(others).toBeGreaterThan(5);
});

test('long work is finished, or fails, before the next goes on', async () => {
  const order: string[] = [];
  const long = (name: string) => {
    let count = 0;
    return inTurns(
      steps(10, () => {
        busyFor(2);
        // The first steps are done at once.
        if (++count > 2) order.push(name);
        if (name === 'b' && count === 9) throw new Error('no');
      }),
    );
  };
  const all = await Promise.allSettled([long('a'), long('b'), long('c')]);
  expect(all.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(order.join('')).toMatch(/^a+b+c+$/);
});
