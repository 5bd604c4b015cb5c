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
export interface Part {
  readonly key: string;
  readonly request: Request;
  /** Undefined if the outcome is unknown. */
  readonly answer: Answer | undefined;
}

export interface Exchange extends Part {
  readonly start: number;
  readonly end: number;
  /** If the outcome is unknown: it has happened by then or never will; Infinity if absent. */
  readonly until?: number | undefined;
  /** What happened right after it and at the same instant: the rest of an atomic batch, on keys of the same object. */
  readonly rest?: readonly Part[];
}

export type Answer =
  /** Answer to a get: the value, or ABSENT. */
  | { readonly kind: 'found'; readonly value: string }
  | { readonly kind: 'done'; readonly created?: boolean }
  /** Answer to an increment: the new value. */
  | { readonly kind: 'counted'; readonly value: string }
  /** The condition did not hold; `value` is the current one, if it is known. Nothing of its batch was applied. */
  | { readonly kind: 'refused'; readonly value?: string }
  /** The condition held, and a later one of the batch did not. */
  | { readonly kind: 'held' };

/** Keys that share a `{tag}` are one object: an atomic batch changes several of them. */
export function objectOf(key: string): string {
  return /\{(.+?)\}/.exec(key)?.[1] ?? key;
}

/** Judges each object by itself: a history is linearizable if that of each object is (Herlihy and Wing, 1990). */
export function judgeObjects(exchanges: readonly Exchange[]): Map<string, Verdict> {
  const objects = [...new Set(exchanges.map(({ key }) => objectOf(key)))];
  return new Map(
    objects.map((object) => [object, judgeObject(exchanges.filter(({ key }) => objectOf(key) === object))]),
  );
}

export function judgeObject(history: readonly Exchange[]): Verdict {
  return judge(operationsOf(history), initialOf(history));
}

/** Returns the exchanges of one object as operations on the values of its keys, which are in order and joined. */
export function operationsOf(history: readonly Exchange[]): Operation[] {
  const keys = keysOf(history);
  return history.map((exchange) => {
    const parts = partsOf(exchange);
    return {
      start: exchange.start,
      end: exchange.answer ? exchange.end : Infinity,
      until: exchange.until,
      apply: (state) => applyAll(parts, keys, state),
    };
  });
}

function initialOf(history: readonly Exchange[]): string {
  return keysOf(history)
    .map(() => ABSENT)
    .join(' ');
}

function keysOf(history: readonly Exchange[]): string[] {
  return [...new Set(history.flatMap(partsOf).map(({ key }) => key))].toSorted();
}

export function partsOf(exchange: Exchange): readonly Part[] {
  return [exchange, ...(exchange.rest ?? [])];
}

/** Returns the state after all parts, or the same one if an answer or a condition says that nothing was applied. */
function applyAll(parts: readonly Part[], keys: readonly string[], state: string): string | undefined {
  const values = state.split(' ');
  for (const { key, request, answer } of parts) {
    const at = keys.indexOf(key);
    if (!answer && !holds(request, values[at]!)) return state;
    const next = answer ? answered(request, answer, values[at]!) : stateAfter(request, values[at]!);
    if (next === undefined) return undefined;
    values[at] = next;
  }
  return parts.at(-1)!.answer?.kind === 'refused' ? state : values.join(' ');
}

function answered(request: Request, answer: Answer, state: string): string | undefined {
  switch (answer.kind) {
    case 'found':
      return state === answer.value ? state : undefined;
    case 'refused':
      return holds(request, state) || (answer.value !== undefined && answer.value !== state)
        ? undefined
        : state;
    case 'held':
      return holds(request, state) ? stateAfter(request, state) : undefined;
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
