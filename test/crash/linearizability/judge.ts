/**
 * Whether a history of concurrent operations on one object is linearizable: whether each can be thought to have happened at
 * one instant between its start and its end, in an order in which every answer is the right one.
 *
 * The search of Wing and Gong (Testing and Verifying Concurrent Objects, 1993): the next operation in the order is one that
 * began before any other that is left had ended. With Lowe's memory (Testing for Linearizability, 2017): the same operations
 * done and the same state reached again lead nowhere again. An operation whose outcome nobody knows may have happened at any
 * time after its start, or never; it is tried last, because most never matter.
 */
export interface Operation {
  /** When it was sent, at the latest. */
  readonly start: number;
  /** When its answer was there, at the earliest; Infinity if none ever came. */
  readonly end: number;
  /** The state that it leaves behind in `state`; undefined if it cannot have been answered as it was. */
  apply(state: string): string | undefined;
}

export type Verdict = 'legal' | 'illegal' | 'undecided';

/** One step of the search: a state, and what may come next in it. */
interface Step {
  readonly state: string;
  readonly choices: readonly number[];
  tried: number;
  /** The operation that led here. */
  readonly by: number | undefined;
}

/** @param patience how many states are looked at before the question is left open */
export function judge(operations: readonly Operation[], initial: string, patience = 5_000_000): Verdict {
  return new Search(operations, initial).run(patience);
}

class Search {
  private readonly answered: Operation[];
  private readonly all: Operation[];
  private readonly done: boolean[];
  /** The first of the answered ones that is not done. */
  private first = 0;
  private readonly visited = new Set<string>();
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

  run(patience: number): Verdict {
    this.enter(this.initial, undefined);
    for (let looked = 0; looked < patience; looked++) {
      if (this.first === this.answered.length) return 'legal';
      if (!this.goOn() && !this.goBack()) return 'illegal';
    }
    return 'undecided';
  }

  /** Takes the next choice of the last step that leads to something new. */
  private goOn(): boolean {
    const step = this.steps.at(-1)!;
    while (step.tried < step.choices.length) {
      const index = step.choices[step.tried++]!;
      const next = this.all[index]!.apply(step.state);
      if (next === undefined || (next === step.state && this.isUnanswered(index))) continue;
      this.mark(index, true);
      const place = this.placeWith(next);
      if (!this.visited.has(place)) {
        this.visited.add(place);
        this.enter(next, index);
        return true;
      }
      this.mark(index, false);
    }
    return false;
  }

  private goBack(): boolean {
    const { by } = this.steps.pop()!;
    if (by === undefined) return false;
    this.mark(by, false);
    return true;
  }

  private enter(state: string, by: number | undefined): void {
    this.steps.push({ state, choices: this.choices(), tried: 0, by });
  }

  /** What began before any other that is not done had ended. */
  private choices(): number[] {
    const found: number[] = [];
    let earliestEnd = Infinity;
    for (let i = this.first; i < this.answered.length && this.all[i]!.start <= earliestEnd; i++) {
      if (this.done[i]) continue;
      found.push(i);
      earliestEnd = Math.min(earliestEnd, this.all[i]!.end);
    }
    const possible = found.filter((i) => this.all[i]!.start <= earliestEnd);
    for (let i = this.answered.length; i < this.all.length && this.all[i]!.start <= earliestEnd; i++) {
      if (!this.done[i]) possible.push(i);
    }
    return possible;
  }

  private mark(index: number, done: boolean): void {
    this.done[index] = done;
    if (index < this.first) this.first = index;
    while (this.first < this.answered.length && this.done[this.first]) this.first++;
  }

  private isUnanswered(index: number): boolean {
    return index >= this.answered.length;
  }

  /** Names what has been done and the state: everything before `first`, and few after it. */
  private placeWith(state: string): string {
    const others: number[] = [];
    for (let i = this.first; i < this.answered.length && this.isNear(i); i++)
      if (this.done[i]) others.push(i);
    for (let i = this.answered.length; i < this.all.length; i++) if (this.done[i]) others.push(i);
    return `${this.first} ${others.join(',')} ${state}`;
  }

  /** Nothing that began after the end of the first that is not done can be done. */
  private isNear(index: number): boolean {
    return this.all[index]!.start <= this.all[this.first]!.end;
  }
}
