/*
 * What a large answer is made of is in memory before anybody can say how large the answer will be, so the budget of
 * unread answers (unsent-answers.ts) comes too late for many that are made at the same time. Two at once are enough for
 * small ones to pass a large one.
 */
const AT_ONCE = 2;

let running = 0;
const waiting: (() => void)[] = [];

/** Runs `work`, which reads and makes an answer that may be large: two at once, the others in the order they came. */
export async function makeLarge<T>(work: () => Promise<T>): Promise<T> {
  if (running === AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}
