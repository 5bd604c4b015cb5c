import { describe, expect, test } from '@jest/globals';
import { Random } from '../../support/random.js';
import { FAULTS, falseHistory, trueHistory } from './histories.js';
import { ABSENT, judgeObject, operationsOf, type Exchange } from './register.js';
import { judge, type Operation } from './judge.js';

const LEGAL = 100;
const ILLEGAL = 32;
const SMALL = 3000;

describe('the judge of histories', () => {
  test(`accepts ${LEGAL} histories of a true register, with requests that were never answered`, () => {
    for (let seed = 0; seed < LEGAL; seed++) {
      const history = trueHistory(new Random(seed), 400, seed % 2 === 0 ? 0 : 0.03);
      expect({ seed, verdict: judge(operationsOf(history), '') }).toEqual({ seed, verdict: 'legal' });
    }
  });

  const faults = Object.entries(FAULTS);
  test.each(Array.from({ length: ILLEGAL }, (_, seed) => [seed, ...faults[seed % faults.length]!] as const))(
    'rejects the false history %i, %s, and accepts what came before',
    (seed, _name, fault) => {
      const { before, whole } = falseHistory(new Random(1000 + seed), fault);
      expect(judgeObject(before)).toBe('legal');
      expect(judgeObject(whole)).toBe('illegal');
    },
  );

  test(`agrees with a search of all orders on ${SMALL} small random histories`, () => {
    const verdicts = { legal: 0, illegal: 0, undecided: 0 };
    for (let seed = 0; seed < SMALL; seed++) {
      const history = randomHistory(new Random(seed));
      const verdict = judge(history, '');
      verdicts[verdict]++;
      expect({ seed, verdict }).toEqual({ seed, verdict: hasOrder(history, '') ? 'legal' : 'illegal' });
    }
    expect(verdicts.legal).toBeGreaterThan(SMALL / 10);
    expect(verdicts.illegal).toBeGreaterThan(SMALL / 10);
  });

  test.each([
    { until: undefined, verdict: 'legal' },
    { until: 11, verdict: 'legal' },
    { until: 5, verdict: 'illegal' },
  ])('lets a write without an answer happen until $until, and not later', ({ until, verdict }) => {
    const get = (value: string, start: number): Exchange => ({
      key: 'k',
      request: { kind: 'get' },
      start,
      end: start + 1,
      answer: { kind: 'found', value },
    });
    const put: Exchange = {
      key: 'k',
      request: { kind: 'put', value: 'new' },
      start: 0,
      end: 4,
      answer: undefined,
      until,
    };
    expect(judgeObject([put, get(ABSENT, 8), get('new', 10)])).toBe(verdict);
  });

  test('leaves a history undecided that needs too many steps', () => {
    expect(judge(operationsOf(trueHistory(new Random(1), 400, 0)), '', 10)).toBe('undecided');
  });
});

/** Returns up to six reads and writes of two values, with random answers. */
function randomHistory(random: Random): Operation[] {
  return Array.from({ length: 1 + random.below(6) }, () => {
    const start = random.below(10);
    const end = random.chance(0.2) ? Infinity : start + 1 + random.below(6);
    const value = random.pick(['a', 'b']);
    const isRead = random.chance(0.5);
    return {
      start,
      end,
      apply: (state: string) => (!isRead ? value : state === value || end === Infinity ? state : undefined),
    };
  });
}

/** Returns whether the answered operations, with some of the others, have a legal order. */
function hasOrder(left: readonly Operation[], state: string): boolean {
  if (left.every(({ end }) => end === Infinity)) return true;
  return left.some((next) => {
    if (left.some(({ end }) => end < next.start)) return false;
    const after = next.apply(state);
    return (
      after !== undefined &&
      hasOrder(
        left.filter((each) => each !== next),
        after,
      )
    );
  });
}
