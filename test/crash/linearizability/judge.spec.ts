import { describe, expect, test } from '@jest/globals';
import { Random } from '../../support/random.js';
import { CRIMES, falseHistory, trueHistory } from './histories.js';
import { operationsOf } from './register.js';
import { judge, type Operation } from './judge.js';

const LEGAL = 100;
const ILLEGAL = 20;
const SMALL = 3000;

describe('the judge of histories', () => {
  test(`takes ${LEGAL} histories that a register made, with requests that were never answered`, () => {
    for (let seed = 0; seed < LEGAL; seed++) {
      const history = trueHistory(new Random(seed), 400, seed % 2 === 0 ? 0 : 0.03);
      expect({ seed, verdict: judge(operationsOf(history), '') }).toEqual({ seed, verdict: 'legal' });
    }
  });

  const crimes = Object.entries(CRIMES);
  test.each(Array.from({ length: ILLEGAL }, (_, seed) => [seed, ...crimes[seed % crimes.length]!] as const))(
    'rejects the false history %i, %s, and nothing else of it',
    (seed, _name, crime) => {
      const { before, whole } = falseHistory(new Random(1000 + seed), crime);
      expect(judge(operationsOf(before), '')).toBe('legal');
      expect(judge(operationsOf(whole), '')).toBe('illegal');
    },
  );

  test(`agrees with the trying of all orders, on ${SMALL} small histories of any kind`, () => {
    const verdicts = { legal: 0, illegal: 0, undecided: 0 };
    for (let seed = 0; seed < SMALL; seed++) {
      const history = anyHistory(new Random(seed));
      const verdict = judge(history, '');
      verdicts[verdict]++;
      expect({ seed, verdict }).toEqual({ seed, verdict: anyOrder(history, '') ? 'legal' : 'illegal' });
    }
    expect(verdicts.legal).toBeGreaterThan(SMALL / 10);
    expect(verdicts.illegal).toBeGreaterThan(SMALL / 10);
  });

  test('leaves a question open that it has no patience for', () => {
    expect(judge(operationsOf(trueHistory(new Random(1), 400, 0)), '', 10)).toBe('undecided');
  });
});

/** Up to six reads and writes of two values, answered at random. */
function anyHistory(random: Random): Operation[] {
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

/** Whether there is an order of all that were answered, and of some of the others. */
function anyOrder(left: readonly Operation[], state: string): boolean {
  if (left.every(({ end }) => end === Infinity)) return true;
  return left.some((next) => {
    if (left.some(({ end }) => end < next.start)) return false;
    const after = next.apply(state);
    return (
      after !== undefined &&
      anyOrder(
        left.filter((each) => each !== next),
        after,
      )
    );
  });
}
