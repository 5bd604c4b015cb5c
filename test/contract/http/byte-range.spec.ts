import { describe, expect, test } from '@jest/globals';
import { DatabaseError } from '../../../src/errors.js';
import { rangeOf } from '../../../src/kv/entry/byte-range.js';
import type { Entry } from '../../../src/storage/entry.js';
import { Random } from '../../support/random.js';

type Answer = 'whole' | 'none' | readonly [first: number, last: number];

function answerTo(range: string, size: number): Answer {
  try {
    const part = rangeOf({ range }, { size, etag: 'e' } as Entry);
    return part ? [part.first, part.last] : 'whole';
  } catch (error) {
    expect(error).toMatchObject({ code: 'range-not-satisfiable', context: { size } });
    expect(error).toBeInstanceOf(DatabaseError);
    return 'none';
  }
}

const BIG = 2n ** 53n;

describe('a Range', () => {
  test.each<[string, number, Answer]>([
    ['bytes=-1', 0, 'whole'],
    ['bytes=-0', 0, 'none'],
    ['bytes=-00', 5, 'none'],
    ['bytes=0-', 0, 'none'],
    ['bytes=0-0', 0, 'none'],
    ['bytes=1-0', 0, 'whole'],
    ['bytes=-1', 1, [0, 0]],
    [`bytes=${BIG + 1n}-${BIG}`, 5, 'whole'],
    [`bytes=${BIG}-${BIG + 1n}`, 5, 'none'],
    [`bytes=0-${BIG + 1n}`, 5, [0, 4]],
    [`bytes=-${BIG + 1n}`, 5, [0, 4]],
    [`bytes=2-${'9'.repeat(5000)}`, 5, [2, 4]],
    [`bytes=${'9'.repeat(5000)}-${'9'.repeat(4999)}8`, 5, 'whole'],
    [`bytes=${'0'.repeat(5000)}1-${'0'.repeat(4000)}3`, 5, [1, 3]],
    ['bytes=,0-1', 5, [0, 1]],
    ['bytes= , ,0-1, ,', 5, [0, 1]],
    ['bytes=0-1,', 5, [0, 1]],
    ['bytes=0-1,3-4', 5, 'whole'],
    ['bytes=,', 5, 'whole'],
    ['bytes =0-1', 5, 'whole'],
    ['bytes=0 - 1', 5, 'whole'],
    ['bytes=+0-1', 5, 'whole'],
    ['bytes=--1', 5, 'whole'],
    ['bytes=0-1;x', 5, 'whole'],
    ['byte=0-1', 5, 'whole'],
  ])('%.40s of %i bytes is %j', (range, size, answer) => {
    expect(answerTo(range, size)).toEqual(answer);
  });

  test('is what RFC 9110, 14.1 makes of it, in numbers of any length', () => {
    const random = new Random(14);
    const seen = { whole: 0, none: 0, part: 0 };
    for (let i = 0; i < 8000; i++) {
      const size = random.pick([0, 0, 1, 2, 10, 16_777_216]);
      const range = randomRange(random, size);
      const expected = oracle(range, BigInt(size));
      expect({ range, size, answer: answerTo(range, size) }).toEqual({ range, size, answer: expected });
      seen[typeof expected === 'string' ? expected : 'part']++;
    }
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(1000);
  });

  test('of any length is read in a time that grows with it alone', () => {
    for (const piece of ['0', '9', ' ', ',', ' ,', '0-', '-'])
      expect(answerTo(`bytes=${piece.repeat(60_000 / piece.length)}x`, 5)).toBe('whole');
  });
});

/** Reads the specifier a character at a time, and counts in integers of any size. */
function oracle(range: string, size: bigint): Answer {
  if (range.slice(0, 6).toLowerCase() !== 'bytes=') return 'whole';
  const specs = range
    .slice(6)
    .split(',')
    .map((element) => element.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((element) => element !== '');
  const [spec] = specs;
  if (specs.length !== 1 || Array.from(spec!).some((c) => !'0123456789-'.includes(c))) return 'whole';
  const numbers = spec!.split('-');
  if (numbers.length !== 2) return 'whole';
  const [from, to] = numbers.map((digits) => (digits === '' ? undefined : BigInt(digits)));
  if (from === undefined && to === undefined) return 'whole';
  if (from !== undefined && to !== undefined && to < from) return 'whole';
  if (from === undefined) {
    if (to === 0n) return 'none';
    return size === 0n ? 'whole' : [Number(to! > size ? 0n : size - to!), Number(size - 1n)];
  }
  if (from >= size) return 'none';
  return [Number(from), Number(to === undefined || to >= size ? size - 1n : to)];
}

function randomRange(random: Random, size: number): string {
  const unit = random.chance(0.95)
    ? random.pick(['bytes', 'Bytes', 'BYTES'])
    : random.pick(['byte', 'items', 'bytes ', '']);
  const count = random.chance(0.85) ? 1 : random.below(3);
  const elements = Array.from({ length: count }, () => randomSpec(random, size));
  while (random.chance(0.2)) elements.splice(random.below(elements.length + 1), 0, '');
  const text = `${unit}=${elements.map((element) => space(random) + element + space(random)).join(',')}`;
  if (random.chance(0.9)) return text;
  const at = random.below(text.length);
  return (
    text.slice(0, at) +
    random.pick(['', '-', ' ', ',', '=', 'x', '0', '+', '.']) +
    text.slice(at + random.below(2))
  );
}

function randomSpec(random: Random, size: number): string {
  const number = () => {
    const value = BigInt(random.pick([0, 0, 1, size, Math.max(0, size - 1), size + 1, random.below(12)]));
    const far = random.chance(0.3) ? BIG * BigInt(random.pick([1, 1, 1000])) + BigInt(random.below(3)) : 0n;
    return (random.chance(0.1) ? '000' : '') + String(value + far);
  };
  return random.pick([
    () => `${number()}-${number()}`,
    () => `${number()}-`,
    () => `-${number()}`,
    () => '-',
  ])();
}

function space(random: Random): string {
  return random.chance(0.9) ? '' : random.pick([' ', '\t', '  ']);
}
