import { expect, test } from '@jest/globals';
import { giveWay } from '../src/event-loop.js';
import { countTurns } from './support/turns.js';

const PIECES = 50;
const PIECE_MS = 1;

function burn(): void {
  const end = performance.now() + PIECE_MS;
  while (performance.now() < end);
}

/** Does its pieces with no other wait than giving way. Writes `name` into `done` for each. */
async function work(name: string, done: string[]): Promise<void> {
  for (let i = 0; i < PIECES; i++) {
    burn();
    done.push(name);
    await giveWay();
  }
}

test('a piece of work in a turn that has time left goes on at once', () => {
  expect(giveWay()).toBeUndefined();
});

test('long work shares a few milliseconds of a turn, however much of it there is', async () => {
  const done: string[] = [];
  const turns = countTurns();
  await Promise.all(['a', 'b', 'c'].map((name) => work(name, done)));
  // A turn has five pieces, the one that is too much, and at first one more of each.
  expect(turns.stop()).toBeGreaterThan((3 * PIECES) / 9);
});

test('long work of several takes turns', async () => {
  const done: string[] = [];
  await Promise.all(['a', 'b', 'c'].map((name) => work(name, done)));
  const first = done.slice(0, done.lastIndexOf(done.at(0)!));
  for (const name of ['a', 'b', 'c'])
    expect(first.filter((each) => each === name).length).toBeGreaterThan(PIECES / 2);
});
