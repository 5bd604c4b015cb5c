import { describe, test } from '@jest/globals';
import { skippedSuite, skippedTest } from './requires.js';

/*
 * What takes longer than everyday runs may: more rounds of the same, and tests that wait for minutes. `npm run test:long`
 * sets LONG_ROUNDS and runs every test file that imports this one.
 */
const GIVEN = process.env['LONG_ROUNDS'];
const IS_LONG = GIVEN !== undefined;

/** How many rounds: `few`, or in a long run as many as were asked for, up to `most`. */
export function rounds(few: number, most = Infinity): number {
  return IS_LONG ? Math.max(few, Math.min(Number(GIVEN), most)) : few;
}

/** What is short in everyday runs and long in long ones. */
export function shortOrLong<T>(short: T, long: T): T {
  return IS_LONG ? long : short;
}

/** A suite that everyday runs skip. */
export const longDescribe = IS_LONG ? describe : skippedSuite('long run only');

/** A test that everyday runs skip. */
export const longTest = IS_LONG ? test : skippedTest('long run only');
