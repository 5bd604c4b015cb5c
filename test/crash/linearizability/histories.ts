import type { Random } from '../../support/random.js';
import { ABSENT, APART, holds, stateAfter, type Answer, type Exchange, type Request } from './register.js';

const CLIENTS = 8;
/** Longest time from start to effect, and from effect to end, ticks. */
const LONGEST = 12;

/**
 * Returns a history of a true register with random clients. Each request takes effect at one instant between its start and
 * its end. Some are never answered, and may or may not have taken effect.
 */
export function trueHistory(random: Random, length: number, unanswered: number): Exchange[] {
  const history: Exchange[] = [];
  const events: { at: number; happen: () => void }[] = [];
  let state = ABSENT;
  const values = [ABSENT];
  for (let client = 0; client < CLIENTS; client++) {
    for (let at = random.below(LONGEST), i = 0; i < length / CLIENTS; i++) {
      const start = at;
      const instant = start + random.below(LONGEST) + random.below(1000) / 1000;
      const end = Math.ceil(instant) + random.below(LONGEST);
      const isLost = random.chance(unanswered);
      const happens = !isLost || random.chance(0.5);
      const value = String(APART * (1 + i * CLIENTS + client));
      events.push({
        at: instant,
        happen: () => {
          const request = randomRequest(random, value, values);
          const after = stateAfter(request, state);
          const answer = answerTo(request, state, after);
          if (happens) state = after;
          if (request.kind === 'put') values.push(value);
          if (isLost && request.kind === 'get') return;
          history.push({
            key: 'k',
            request,
            start,
            end: isLost ? Infinity : end,
            answer: isLost ? undefined : answer,
          });
        },
      });
      at = end + random.below(3);
    }
  }
  for (const { happen } of events.toSorted((a, b) => a.at - b.at)) happen();
  return history;
}

function randomRequest(random: Random, value: string, values: readonly string[]): Request {
  const known = values[Math.max(0, values.length - 1 - random.below(3))]!;
  const condition = known === ABSENT ? {} : { ifMatch: known };
  switch (random.below(10)) {
    case 0:
      return { kind: 'delete' };
    case 1:
      return { kind: 'delete', ...condition };
    case 2:
      return { kind: 'put', value, ifAbsent: true };
    case 3:
      return { kind: 'put', value };
    case 4:
    case 5:
      return { kind: 'put', value, ...condition };
    case 6:
      return { kind: 'incr' };
    case 7:
      return { kind: 'incr', ...condition };
    default:
      return { kind: 'get' };
  }
}

function answerTo(request: Request, state: string, after: string): Answer {
  if (!holds(request, state)) return { kind: 'refused', value: state };
  switch (request.kind) {
    case 'get':
      return { kind: 'found', value: state };
    case 'put':
      return { kind: 'done', created: state === ABSENT };
    case 'incr':
      return { kind: 'counted', value: after };
    case 'delete':
      return { kind: 'done' };
  }
}

/** Requests that follow each other, from a time on. */
class Sequel {
  readonly exchanges: Exchange[] = [];

  constructor(private at: number) {}

  next(request: Request, answer: Answer | undefined): this {
    this.exchanges.push({ key: 'k', request, start: this.at + 1, end: this.at + 2, answer });
    this.at += 3;
    return this;
  }

  /** Adds a request that is under way while the next ones are. */
  during(request: Request, answer: Answer, next: number): this {
    const end = this.at + 3 * next + 2;
    this.exchanges.push({ key: 'k', request, start: this.at + 1, end, answer });
    return this;
  }

  /** Adds an atomic batch of requests by key, each with the same answer. */
  together(requests: Record<string, Request>, answer: Answer | undefined): this {
    const [first, ...rest] = Object.entries(requests).map(([key, request]) => ({ key, request, answer }));
    this.exchanges.push({ ...first!, rest, start: this.at + 1, end: this.at + 2 });
    this.at += 3;
    return this;
  }

  /** Adds two concurrent requests. */
  both(a: [Request, Answer], b: [Request, Answer]): this {
    for (const [request, answer] of [a, b])
      this.exchanges.push({ key: 'k', request, start: this.at + 1, end: this.at + 2, answer });
    this.at += 3;
    return this;
  }
}

const GET: Request = { kind: 'get' };
const DONE: Answer = { kind: 'done' };
const put = (value: string): Request => ({ kind: 'put', value });
const INCR: Request = { kind: 'incr' };
const counted = (value: string): Answer => ({ kind: 'counted', value });
const putIf = (value: string, ifMatch: string): Request => ({ kind: 'put', value, ifMatch });
const found = (value: string): Answer => ({ kind: 'found', value });

/** Endings that no register can have, whatever came before and whatever is unanswered. */
export const FAULTS: Record<string, (sequel: Sequel) => Sequel> = {
  'a stale read': (s) => s.next(put('a'), DONE).next(put('b'), DONE).next(GET, found('a')),
  'a lost write': (s) =>
    s.next(put('a'), DONE).next(putIf('b', 'a'), DONE).next(putIf('c', 'a'), { kind: 'refused', value: 'a' }),
  'two replacements of the same value': (s) =>
    s.next(put('a'), DONE).both([putIf('b', 'a'), DONE], [putIf('c', 'a'), DONE]),
  'a lost increment': (s) => s.next(put('5'), DONE).both([INCR, counted('6')], [INCR, counted('6')]),
  'an increment that is read and undone': (s) =>
    s.next(put('5'), DONE).next(INCR, counted('6')).next(GET, found('5')),
  'a refusal with an old value': (s) =>
    s.next(put('a'), DONE).next(put('b'), DONE).next(putIf('c', 'x'), { kind: 'refused', value: 'a' }),
  'a refusal although the condition held': (s) =>
    s.next(put('a'), DONE).next(putIf('b', 'a'), { kind: 'refused', value: 'a' }),
  'a write that is read and undone': (s) => {
    const { exchanges } = s.next(put('a'), DONE);
    const { end } = exchanges.at(-1)!;
    exchanges.push({ key: 'k', request: put('b'), start: end + 1, end: end + 20, answer: DONE });
    return s.next(GET, found('b')).next(GET, found('a'));
  },
  'a value that nobody wrote': (s) => s.next(GET, found('nobody')),
  'an unanswered write that takes effect twice': (s) =>
    s
      .next(put('u'), undefined)
      .next(GET, found('u'))
      .next(put('a'), DONE)
      .next(GET, found('a'))
      .next(GET, found('u')),
  'a value that is read after its deletion': (s) =>
    s.next(put('a'), DONE).next({ kind: 'delete', ifMatch: 'a' }, DONE).next(GET, found('a')),
  'a delete that is carried out twice, with a creation between': (s) =>
    s
      .next(put('a'), DONE)
      .during({ kind: 'delete' }, DONE, 4)
      .next(GET, found(ABSENT))
      .next({ kind: 'put', value: 'b', ifAbsent: true }, { kind: 'done', created: true })
      .next(GET, found('b'))
      .next(GET, found(ABSENT)),
  "a put that is carried out twice, with somebody's replacement between": (s) =>
    s
      .next(put('a'), DONE)
      .during(put('u'), DONE, 4)
      .next(GET, found('u'))
      .next(putIf('b', 'u'), DONE)
      .next(GET, found('u')),
  'half an atomic batch': (s) =>
    s
      .next(put('a'), DONE)
      .together({ k: put('b'), other: put('b') }, DONE)
      .next(GET, found('a')),
  'an atomic batch that is read in halves': (s) =>
    s
      .together({ k: put('a'), other: put('a') }, DONE)
      .together({ k: put('b'), other: put('b') }, undefined)
      .together({ k: GET, other: GET }, found('b'))
      .together({ other: GET }, found('a')),
  'a creation of an existing key': (s) =>
    s.next(put('a'), DONE).next(putIf('b', 'a'), { kind: 'done', created: true }),
};

/** Returns a history that is legal up to its end, where the fault is. */
export function falseHistory(random: Random, fault: (sequel: Sequel) => Sequel) {
  const before = trueHistory(random, 150, 0.03);
  const quiet = Math.max(...before.filter(({ answer }) => answer).map(({ end }) => end)) + 1;
  return { before, whole: [...before, ...fault(new Sequel(quiet)).exchanges] };
}
