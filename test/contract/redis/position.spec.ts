import { describe, expect, test } from '@jest/globals';
import {
  decodePosition,
  encodePosition,
  LOG_START,
  MAX_PARTITIONS,
  type Offset,
} from '../../../src/storage/redis/position.js';
import { Random } from '../../support/random.js';

const EPOCH = 0xfedc_ba98;
const MAX_CHARACTERS = 2000;
const MAX_SEQUENCE = 2 ** 48;
/** How many changes of one partition a reader may be behind. */
const MAX_BEHIND = 2 ** 23 - 1;
const NUMBERS = Array.from({ length: MAX_PARTITIONS }, (_, i) => i + 1);

const sequences = (offsets: readonly Offset[]) => offsets.map(({ sequence }) => sequence);

/** Sequences of every size, and no changes at all now and then. */
function offsetsOf(count: number, random: Random): Offset[] {
  return Array.from({ length: count }, () => {
    const sequence = random.chance(0.1) ? 0 : 1 + random.below(2 ** (1 + random.below(31)));
    const scale = random.chance(0.5) ? 1 : 2 ** 16;
    if (sequence === 0) return LOG_START;
    return {
      sequence: sequence * scale,
      random: random
        .below(2 ** 16)
        .toString(16)
        .padStart(4, '0'),
    };
  });
}

describe('a position in the change log of many partitions', () => {
  test.each([1, MAX_SEQUENCE - 1, MAX_SEQUENCE])(
    'has at most 2000 characters where every sequence is %d, for every number of partitions',
    (sequence) => {
      for (const count of NUMBERS) {
        const offsets = Array.from({ length: count }, () => ({ sequence, random: 'ffff' }));
        const text = encodePosition(EPOCH, offsets);
        expect(text.length).toBeLessThanOrEqual(MAX_CHARACTERS);
        expect(decodePosition(text, EPOCH, sequences(offsets))).toEqual(offsets);
      }
    },
  );

  test('has at most 2000 characters and comes back as it was, for every number of partitions', () => {
    const random = new Random(1);
    for (const count of NUMBERS) {
      const offsets = offsetsOf(count, random);
      const text = encodePosition(EPOCH, offsets);
      expect(text.length).toBeLessThanOrEqual(MAX_CHARACTERS);
      expect(decodePosition(text, EPOCH, sequences(offsets))).toEqual(offsets);
    }
  });

  test('is understood by a server that knows of 8 million changes more or fewer', () => {
    const random = new Random(2);
    for (const count of NUMBERS) {
      const offsets = offsetsOf(count, random);
      const text = encodePosition(EPOCH, offsets);
      const known = sequences(offsets).map((sequence) =>
        Math.max(0, sequence + random.below(2 * MAX_BEHIND) - MAX_BEHIND),
      );
      expect(decodePosition(text, EPOCH, known)).toEqual(offsets);
    }
  });

  test('that is older is taken for none, or for one of at most 8 million changes before or after', () => {
    const random = new Random(3);
    for (let i = 0; i < 1000; i++) {
      const offset = { sequence: 1 + random.below(2 ** 24), random: 'abcd' };
      const text = encodePosition(
        EPOCH,
        Array.from({ length: MAX_PARTITIONS }, () => offset),
      );
      const known = offset.sequence + 2 ** 24 + random.below(2 ** 30);
      const found = decodePosition(
        text,
        EPOCH,
        Array.from({ length: MAX_PARTITIONS }, () => known),
      );
      const distances = sequences(found!).map((sequence) => Math.abs(sequence - known));
      expect(Math.max(...distances)).toBeLessThanOrEqual(MAX_BEHIND + 1);
      expect(sequences(found!)).not.toContain(offset.sequence);
    }
  });

  test('of another number of partitions, of another epoch, cut or prolonged is none', () => {
    const random = new Random(4);
    for (const count of NUMBERS) {
      const offsets = offsetsOf(count, random);
      const known = sequences(offsets);
      const text = encodePosition(EPOCH, offsets);
      expect(decodePosition(text, EPOCH - 1, known)).toBeUndefined();
      for (const each of [text.slice(1), text.slice(0, -1), `${text}A`, `${text}AAAA`, `${text}=`, ''])
        expect(decodePosition(each, EPOCH, known)).toBeUndefined();
      for (const each of [[...offsets, LOG_START], offsets.slice(1)])
        expect(decodePosition(encodePosition(EPOCH, each), EPOCH, known)).toBeUndefined();
    }
  });
});
