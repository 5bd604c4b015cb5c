// Sides against each other.
import { Side } from './sides.mjs';

/**
 * Runs each contestant once a round, A B C C B A A B C …, because a shared machine drifts and whoever comes behind one that
 * writes has its disk and its caches to suffer from (14 % for a PUT, measured of one server with itself); and once before, so
 * that what is compiled as it runs is compiled. Answers the runs of each. `once` gets a number that is the round's own.
 */
export async function alternate({ rounds, progress }, contestants, once) {
  const runs = contestants.map(() => []);
  for (let round = 0; round <= rounds; round++) {
    const order = [...contestants.entries()];
    for (const [i, contestant] of round % 2 === 0 ? order : order.toReversed()) {
      progress(round === 0 ? 'warming up' : `round ${round} of ${rounds}`, contestant.name ?? contestant);
      const result = await once(contestant, round + 1);
      if (round > 0) runs[i].push(result);
    }
  }
  return runs;
}

/** Starts sides, lets `use` have them, and stops them. `options` are those of Side.start. */
export async function withSides({ root }, names, options, use) {
  const sides = [];
  try {
    for (const name of names) {
      sides.push(await Side.start(name, root, options));
      await sides.at(-1).ready();
    }
    return await use(sides);
  } finally {
    await Promise.all(sides.map((side) => side.stop()));
  }
}
