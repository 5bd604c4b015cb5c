import { judgeObject, partsOf, type Exchange } from './register.js';

/** Operations that are shown: what came before them has led to their state, but is seldom of interest. */
const SHOWN = 16;
/** How long it takes answers away. */
const MAX_MS = 3_000;

/**
 * Returns a part of an illegal history that is illegal by itself: up to the answer that no order explains, without the
 * answers that changed nothing and do not matter. What happened later cannot make it legal.
 */
export function smallest(history: readonly Exchange[]): Exchange[] {
  const ends = history.flatMap(({ end, answer }) => (answer ? [end] : [])).toSorted((a, b) => a - b);
  let [legal, illegal] = [-1, ends.length - 1];
  while (illegal - legal > 1) {
    const middle = Math.floor((legal + illegal) / 2);
    if (judgeObject(until(history, ends[middle]!)) === 'illegal') illegal = middle;
    else legal = middle;
  }
  let rest = until(history, ends[illegal]!);
  const enough = performance.now() + MAX_MS;
  for (const exchange of rest.filter(changesNothing)) {
    if (performance.now() > enough) break;
    const without = rest.filter((each) => each !== exchange);
    if (judgeObject(without) === 'illegal') rest = without;
  }
  return rest;
}

/** One line for each of the last operations. */
export function describeHistory(history: readonly Exchange[]): string {
  const sorted = history.toSorted((a, b) => a.start - b.start);
  return sorted.slice(-SHOWN).map(describe).join('\n');
}

/** Returns a history as it was known at a time: what had no answer yet is unknown. */
function until(history: readonly Exchange[], time: number): Exchange[] {
  return history
    .filter(({ start }) => start <= time)
    .map((each) => (each.end <= time ? each : { ...each, ...withoutAnswers(each) }));
}

function withoutAnswers(exchange: Exchange): Pick<Exchange, 'answer' | 'rest'> {
  return { answer: undefined, rest: exchange.rest?.map((part) => ({ ...part, answer: undefined })) ?? [] };
}

function changesNothing(exchange: Exchange): boolean {
  const parts = partsOf(exchange);
  return (
    parts.at(-1)!.answer?.kind === 'refused' ||
    parts.every(({ request, answer }) => request.kind === 'get' && answer !== undefined)
  );
}

function describe(exchange: Exchange): string {
  const span = `${exchange.start.toFixed(1)}–${exchange.answer ? exchange.end.toFixed(1) : '?'} ms`;
  const parts = partsOf(exchange).map(
    ({ key, request, answer }) =>
      `${key} ${JSON.stringify(request)} → ${JSON.stringify(answer) ?? 'unknown'}`,
  );
  return `${span}: ${parts.join('; ')}`;
}
