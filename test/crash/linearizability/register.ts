import { judge, type Operation, type Verdict } from './judge.js';

/** A key that is not there; a state is otherwise the value. */
export const ABSENT = '';

/**
 * Every put has a number of its own, so far from the others that increments do not reach them: a value that is as large stands
 * for one tag only. A smaller one is a counter that began with nothing, which there may be again after a delete.
 */
export const APART = 1_000_000;

export type Request =
  | { readonly kind: 'get' }
  | { readonly kind: 'put'; readonly value: string; readonly ifMatch?: string; readonly ifAbsent?: true }
  | { readonly kind: 'incr'; readonly ifMatch?: string }
  | { readonly kind: 'delete'; readonly ifMatch?: string };

/** What was asked of a key and how it was answered. A tag of the wire is told here by the value it stands for. */
export interface Exchange {
  readonly key: string;
  readonly request: Request;
  readonly start: number;
  readonly end: number;
  /** Of a request that nobody knows the outcome of, undefined. */
  readonly answer: Answer | undefined;
}

export type Answer =
  /** Of a get: the value, or ABSENT. */
  | { readonly kind: 'found'; readonly value: string }
  | { readonly kind: 'done'; readonly created?: boolean }
  /** Of an increment: the value that it made. */
  | { readonly kind: 'counted'; readonly value: string }
  /** The condition did not hold; with the value that was there, if it is known. */
  | { readonly kind: 'refused'; readonly value?: string };

/** Keys are independent: a history is linearizable if that of each key is (Herlihy and Wing, 1990). */
export function judgeKeys(exchanges: readonly Exchange[]): Map<string, Verdict> {
  const keys = [...new Set(exchanges.map(({ key }) => key))];
  const historyOf = (key: string) => operationsOf(exchanges.filter((exchange) => exchange.key === key));
  return new Map(keys.map((key) => [key, judge(historyOf(key), ABSENT)]));
}

/** The exchanges of one key as operations on a register. */
export function operationsOf(exchanges: readonly Exchange[]): Operation[] {
  return exchanges.map(({ request, start, end, answer }) => ({
    start,
    end: answer ? end : Infinity,
    apply: (state) => (answer ? answered(request, answer, state) : carriedOut(request, state)),
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
      return carriedOut(request, state);
    case 'counted':
      return holds(request, state) && incremented(state) === answer.value ? answer.value : undefined;
  }
}

/** The state after a request, answered or not. */
export function carriedOut(request: Request, state: string): string {
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
  return String(Number(state) + 1); // of ABSENT, 1
}

/** Whether the condition of a request is met. */
export function holds(request: Request, state: string): boolean {
  if (request.kind === 'get') return true;
  if (request.kind === 'put' && request.ifAbsent) return state === ABSENT;
  return request.ifMatch === undefined || request.ifMatch === state;
}
