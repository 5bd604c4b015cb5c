/** Work that can be interrupted wherever it yields, and then returns `T`. */
export type Steps<T> = Generator<void, T>;

/** Does all of it at once. */
export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Does steps, and yields whenever they have taken some milliseconds. */
export function* inSlices(steps: Steps<unknown>, ms: number): Steps<void> {
  let until = performance.now() + ms;
  while (!steps.next().done) {
    if (performance.now() <= until) continue;
    yield;
    until = performance.now() + ms;
  }
}
