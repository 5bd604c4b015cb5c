import { judge, type Operation, type Verdict } from './judge.js';

/** The state of an absent key. Any other state is the value. */
export const ABSENT = '';

/**
 * The distance between the numbers that are put. Increments do not bridge it, so a value of at least this has one tag only.
 * A smaller value is a counter that started at an absent key, and may occur again after a delete.
 */
export const APART = 1_000_000;

export type Request =
  | { readonly kind: 'get' }
  | { readonly kind: 'put'; readonly value: string; readonly ifMatch?: string; readonly ifAbsent?: true }
  | { readonly kind: 'incr'; readonly ifMatch?: string }
  | { readonly kind: 'delete'; readonly ifMatch?: string };

/** A request for a key and its answer. The value of a tag stands for the tag. */
export interface Exchange {
  readonly key: string;
  readonly request: Request;
  readonly start: number;
  readonly end: number;
  /** Undefined if the outcome is unknown. */
  readonly answer: Answer | undefined;
}

export type Answer =
  /** Answer to a get: the value, or ABSENT. */
  | { readonly kind: 'found'; readonly value: string }
  | { readonly kind: 'done'; readonly created?: boolean }
  /** Answer to an increment: the new value. */
  | { readonly kind: 'counted'; readonly value: string }
  /** The condition did not hold; `value` is the current one, if it is known. */
  | { readonly kind: 'refused'; readonly value?: string };

/** Judges each key by itself: a history is linearizable if that of each object is (Herlihy and Wing, 1990). */
export function judgeKeys(exchanges: readonly Exchange[]): Map<string, Verdict> {
  const keys = [...new Set(exchanges.map(({ key }) => key))];
  const historyOf = (key: string) => operationsOf(exchanges.filter((exchange) => exchange.key === key));
  return new Map(keys.map((key) => [key, judge(historyOf(key), ABSENT)]));
}

/** Returns the exchanges of one key as operations on a register. */
export function operationsOf(exchanges: readonly Exchange[]): Operation[] {
  return exchanges.map(({ request, start, end, answer }) => ({
    start,
    end: answer ? end : Infinity,
    apply: (state) => (answer ? answered(request, answer, state) : stateAfter(request, state)),
  }));
}

function answered(request: Request, answer: Answer, state: string): string | undefined {
  switch (answer.kind) {
    case 'found':
      return state === answer.value ? state : undefined;
    case 'refused':
      return holds(request, state) || (answer.value !== undefined && answer.value !== state)
        ? undefined
        : state;
    case 'done':
      if (!holds(request, state)) return undefined;
      if (answer.created !== undefined && answer.created !== (state === ABSENT)) return undefined;
      return stateAfter(request, state);
    case 'counted':
      return holds(request, state) && incremented(state) === answer.value ? answer.value : undefined;
  }
}

/** Returns the state after a request. */
export function stateAfter(request: Request, state: string): string {
  if (!holds(request, state)) return state;
  switch (request.kind) {
    case 'get':
      return state;
    case 'put':
      return request.value;
    case 'incr':
      return incremented(state);
    case 'delete':
      return ABSENT;
  }
}

function incremented(state: string): string {
  return String(Number(state) + 1); // ABSENT counts as 0.
}

/** Returns whether the condition of a request holds. */
export function holds(request: Request, state: string): boolean {
  if (request.kind === 'get') return true;
  if (request.kind === 'put' && request.ifAbsent) return state === ABSENT;
  return request.ifMatch === undefined || request.ifMatch === state;
}
