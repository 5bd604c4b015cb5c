import type { Step } from './step.js';
import type { Twin } from './twin.js';

/** Two servers that must not differ, empty at the beginning. */
export type Pair = readonly [Twin, Twin];

/** The first step after which two servers differed, and what they answered. */
interface Difference {
  readonly at: number;
  readonly answers: readonly [string, string];
}

/** For how long shorter sequences are tried before the shortest so far is shown. */
const LONGEST_SEARCH_MS = 60_000;
const MOST_SHOWN = 3_000;

/**
 * Takes steps with both of a pair, and compares what comes back.
 *
 * @param fresh empties the servers, and returns them with nothing remembered
 * @throws Error with the shortest sequence of steps that was found after which they differ
 */
export async function assertAlike(
  steps: Iterable<Step>,
  fresh: () => Promise<Pair>,
  about: string,
): Promise<void> {
  const taken: Step[] = [];
  const pair = await fresh();
  let difference: Difference | undefined;
  for (const step of steps) {
    taken.push(step);
    const answers = await answersOf(pair, step);
    if (answers[0] === answers[1]) continue;
    difference = { at: taken.length - 1, answers };
    break;
  }
  for (const twin of pair) twin.close();
  if (!difference) return;
  const shortest = await shorten(taken, fresh);
  const { answers } = (await firstDifference(shortest, fresh)) ?? difference;
  const [first, second] = answers.map((answer) => answer.slice(0, MOST_SHOWN));
  const sequence = shortest.map((step) => JSON.stringify(step).slice(0, MOST_SHOWN)).join('\n');
  throw new Error(
    `${about}: step ${difference.at} differs. The shortest way there that was found:\n${sequence}\n` +
      `One answers\n${first}\nThe other answers\n${second}`,
  );
}

/** A step that fails has no answer that could be compared: whatever both failed with differs. */
async function answersOf(pair: Pair, step: Step): Promise<[string, string]> {
  const taken = await Promise.allSettled(pair.map((twin) => twin.take(step)));
  const answers = taken.map((each, i) =>
    each.status === 'fulfilled' ? each.value : `server ${i + 1} failed: ${String(each.reason)}`,
  );
  return answers as [string, string];
}

async function firstDifference(
  steps: readonly Step[],
  fresh: () => Promise<Pair>,
): Promise<Difference | undefined> {
  const pair = await fresh();
  try {
    for (const [at, step] of steps.entries()) {
      const answers = await answersOf(pair, step);
      if (answers[0] !== answers[1]) return { at, answers };
    }
    return undefined;
  } finally {
    for (const twin of pair) twin.close();
  }
}

/** Leaves out steps for as long as the servers still differ: the older ones first, then whatever else can go. */
async function shorten(steps: readonly Step[], fresh: () => Promise<Pair>): Promise<readonly Step[]> {
  const deadline = performance.now() + LONGEST_SEARCH_MS;
  const isOver = () => performance.now() > deadline;
  let shortest = steps;
  for (let size = 1; size < steps.length && shortest === steps && !isOver(); size *= 2) {
    const end = steps.slice(-size);
    if (await firstDifference(end, fresh)) shortest = end;
  }
  for (let size = Math.ceil(shortest.length / 2); size >= 1 && !isOver(); size = Math.floor(size / 2)) {
    for (let at = 0; at < shortest.length && !isOver();) {
      const shorter = [...shortest.slice(0, at), ...shortest.slice(at + size)];
      const found = await firstDifference(shorter, fresh);
      if (found) shortest = shorter.slice(0, found.at + 1);
      else at += size;
    }
  }
  return shortest;
}
