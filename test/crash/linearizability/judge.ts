/*
 * Decides whether a history of concurrent operations on one object is linearizable: whether each operation can have
 * happened at one instant between its start and its end, in an order in which every answer is correct.
 *
 * The search is that of Wing and Gong (Testing and Verifying Concurrent Objects, 1993): the next operation of the order is
 * one that started before any other remaining operation had ended. The memory of configurations is from Lowe (Testing for
 * Linearizability, 2017): equal sets of done operations with equal states are searched once. An operation with an unknown
 * outcome may have happened at any time after its start, or never. It is tried last, because most do not matter, and a
 * configuration is not searched if one was that differs only in having needed fewer of them.
 */

export interface Operation {
  /** Not later than it was sent. */
  readonly start: number;
  /** Not earlier than its answer arrived; Infinity if none ever did. */
  readonly end: number;
  /** Of one that was never answered: it has happened by then or never will; Infinity if absent. */
  readonly until?: number | undefined;
  /** Returns the state after the operation in `state`; undefined if its answer would have been another. */
  apply(state: string): string | undefined;
}

export type Verdict = 'legal' | 'illegal' | 'undecided';

/** One step of the search: a state and the operations that may come next. */
interface Step {
  readonly state: string;
  readonly choices: readonly number[];
  /** The latest start of the operations that are done: what was over by then cannot come after them. */
  readonly latest: number;
  tried: number;
  /** The operation that led to the state. */
  readonly by: number | undefined;
}

/** @param maxSteps of the search, after which the history is undecided */
export function judge(operations: readonly Operation[], initial: string, maxSteps = 5_000_000): Verdict {
  return new Search(operations, initial).run(maxSteps);
}

class Search {
  private readonly answered: Operation[];
  private readonly all: Operation[];
  private readonly done: boolean[];
  /** Index of the first answered operation that is not done. */
  private first = 0;
  /** Of each configuration, the sets of operations with unknown outcomes with which it was searched, as bits. */
  private readonly visited = new Map<string, bigint[]>();
  private unanswered = 0n;
  private readonly steps: Step[] = [];

  constructor(
    operations: readonly Operation[],
    private readonly initial: string,
  ) {
    const sorted = operations.toSorted((a, b) => a.start - b.start);
    this.answered = sorted.filter(({ end }) => end !== Infinity);
    this.all = [...this.answered, ...sorted.filter(({ end }) => end === Infinity)];
    this.done = this.all.map(() => false);
  }

  run(maxSteps: number): Verdict {
    this.enter(this.initial, undefined);
    for (let steps = 0; steps < maxSteps; steps++) {
      if (this.first === this.answered.length) return 'legal';
      if (!this.stepForward() && !this.stepBack()) return 'illegal';
    }
    return 'undecided';
  }

  /** Takes the next choice of the last step that leads to a new configuration. */
  private stepForward(): boolean {
    const step = this.steps.at(-1)!;
    while (step.tried < step.choices.length) {
      const index = step.choices[step.tried++]!;
      const next = this.all[index]!.apply(step.state);
      if (next === undefined || (next === step.state && this.isUnanswered(index))) continue;
      this.mark(index, true);
      if (this.isNew(next, Math.max(step.latest, this.all[index]!.start))) {
        this.enter(next, index);
        return true;
      }
      this.mark(index, false);
    }
    return false;
  }

  private stepBack(): boolean {
    const { by } = this.steps.pop()!;
    if (by === undefined) return false;
    this.mark(by, false);
    return true;
  }

  private enter(state: string, by: number | undefined): void {
    const before = this.steps.at(-1)?.latest ?? -Infinity;
    const latest = by === undefined ? before : Math.max(before, this.all[by]!.start);
    this.steps.push({ state, choices: this.choices(latest), latest, tried: 0, by });
  }

  /** Returns the operations that started before any other that is not done had ended. */
  private choices(latest: number): number[] {
    const found: number[] = [];
    let earliestEnd = Infinity;
    for (let i = this.first; i < this.answered.length && this.all[i]!.start <= earliestEnd; i++) {
      if (this.done[i]) continue;
      found.push(i);
      earliestEnd = Math.min(earliestEnd, this.all[i]!.end);
    }
    const possible = found.filter((i) => this.all[i]!.start <= earliestEnd);
    for (let i = this.answered.length; i < this.all.length && this.all[i]!.start <= earliestEnd; i++) {
      if (!this.done[i] && this.mayFollow(i, latest)) possible.push(i);
    }
    return possible;
  }

  private mark(index: number, done: boolean): void {
    this.done[index] = done;
    if (this.isUnanswered(index)) this.unanswered ^= 1n << BigInt(index - this.answered.length);
    if (index < this.first) this.first = index;
    while (this.first < this.answered.length && this.done[this.first]) this.first++;
  }

  /** Whether an operation without an answer can come after one that started at `latest`. */
  private mayFollow(index: number, latest: number): boolean {
    return (this.all[index]!.until ?? Infinity) >= latest;
  }

  /** Those that may still happen after `latest`, as bits. */
  private possibleAfter(latest: number): bigint {
    let bits = 0n;
    for (let i = this.answered.length; i < this.all.length; i++)
      if (this.mayFollow(i, latest)) bits |= 1n << BigInt(i - this.answered.length);
    return bits;
  }

  private isUnanswered(index: number): boolean {
    return index >= this.answered.length;
  }

  /** Returns whether nothing was searched from where at least as much was possible, and remembers this. */
  private isNew(state: string, latest: number): boolean {
    const possible = this.possibleAfter(latest);
    const configuration = `${this.configurationWith(state)} ${possible}`;
    const unanswered = this.unanswered & possible;
    const searched = this.visited.get(configuration) ?? [];
    if (searched.some((set) => (set & ~unanswered) === 0n)) return false;
    this.visited.set(configuration, [...searched, unanswered]);
    return true;
  }

  /** Returns the state and the done operations that were answered. All before `first` are done, and few after it. */
  private configurationWith(state: string): string {
    const others: number[] = [];
    for (let i = this.first; i < this.answered.length && this.isNear(i); i++)
      if (this.done[i]) others.push(i);
    return `${this.first} ${others.join(',')} ${state}`;
  }

  /** Whether an operation can be done: it started before the end of the first one that is not. */
  private isNear(index: number): boolean {
    return this.all[index]!.start <= this.all[this.first]!.end;
  }
}
