import { describe, expect, test } from '@jest/globals';
import type { IncomingMessage } from 'node:http';
import { prefersLenient, preferenceOf } from '../../../src/http/request/prefer.js';
import { Random } from '../../support/random.js';

function requestWith(prefer: string | undefined): IncomingMessage {
  return { headers: { prefer } } as unknown as IncomingMessage;
}

const waitIn = (prefer: string) => preferenceOf(requestWith(prefer), 'wait');

describe('Prefer', () => {
  test.each<[string, string | undefined]>([
    ['wait=1', '1'],
    ['WAIT=1', '1'],
    ['wait = 1', '1'],
    ['wait="1"', '1'],
    ['wait="\\1\\0"', '10'],
    ['wait=1; foo', '1'],
    ['wait=1;;foo="a;b, c" ; bar=x;', '1'],
    ['respond-async, wait=1', '1'],
    ['return=minimal; x="wait=2",wait=1', '1'],
    ['wait=1, wait=2', '1'],
    ['wait, wait=2', ''],
    ['wait=""', ''],
    [', ,wait=1,', '1'],
    ['foo="a\\"", wait=1', '1'],
    ['foo bar, wait=1', '1'],
    ['=x, wait=1', '1'],
    ['foo="a, wait=1"', undefined],
    ['foo="a\\", wait=1', undefined],
    ['respond-async; wait=1', undefined],
    ['foo=x;wait=1', undefined],
    ['wait="1', undefined],
    ['wait=1"', undefined],
    ['wait=', undefined],
    ['wait=1 2', undefined],
    ['wait=1=2', undefined],
    ['wait 1', undefined],
    ['wait:1', undefined],
    ['x-wait=1', undefined],
    ['wait=1; "foo"', undefined],
    ['', undefined],
  ])('%j has the wait %j', (prefer, wait) => {
    expect(waitIn(prefer)).toBe(wait);
  });

  test.each<[string | undefined, boolean]>([
    ['handling=lenient', true],
    ['wait=1, Handling="lenient"; x', true],
    ['handling=strict', false],
    ['handling=strict, handling=lenient', false],
    ['x; handling=lenient', false],
    ['x="handling=lenient"', false],
    [undefined, false],
  ])('%j is lenient: %s', (prefer, lenient) => {
    expect(prefersLenient(requestWith(prefer))).toBe(lenient);
  });

  test('is read as it was made of preferences, whatever stands between them', () => {
    const random = new Random(7240);
    let found = 0;
    for (let i = 0; i < 5000; i++) {
      const elements = Array.from({ length: 1 + random.below(4) }, () => randomElement(random));
      const prefer = elements.map(({ text }) => space(random) + text + space(random)).join(',');
      const expected = elements.find(({ name }) => name === 'wait')?.value;
      expect({ prefer, wait: waitIn(prefer) }).toEqual({ prefer, wait: expected });
      if (expected !== undefined) found++;
    }
    expect(found).toBeGreaterThan(1500);
  });

  test('of any length is read in a time that grows with it alone', () => {
    for (const piece of ['"', '"\\', ';', ' ', ',', 'a=', '"a",', '; a', '\\"', 'a;b="'])
      expect(waitIn(`x${piece.repeat(60_000 / piece.length)}\u0001`)).toBeUndefined();
  });
});

interface Element {
  readonly text: string;
  /** Of a preference that is well-formed. */
  readonly name?: string;
  readonly value?: string;
}

const NAMES = ['wait', 'WAIT', 'Wait', 'foo', 'respond-async', "!#$%&'*+.^_`|~"];
const MALFORMED = [
  '',
  ' ',
  'wait=',
  '=1',
  'wait=1 2',
  'wait 1',
  'a b',
  'wait@=1',
  'wait=1;=',
  'wait=(1)',
  ';',
];
const QUOTABLE = [...Array.from(' ,;=aw1'), '\\', '"', 'wait=2', ', wait=3', 'é'];

function space(random: Random): string {
  return random.pick(['', '', ' ', '\t', '  ']);
}

function randomElement(random: Random): Element {
  if (random.chance(0.2)) return { text: random.pick(MALFORMED) };
  const name = random.pick(NAMES);
  const word = random.chance(0.8) ? randomWord(random) : { text: '', value: '' };
  const parameters = Array.from({ length: random.below(3) }, () => {
    const parameter = random.chance(0.2) ? '' : random.pick(NAMES) + randomWord(random).text;
    return `${space(random)};${space(random)}${parameter}`;
  });
  return { text: name + word.text + parameters.join(''), name: name.toLowerCase(), value: word.value };
}

function randomWord(random: Random): { text: string; value: string } {
  const equals = `${space(random)}=${space(random)}`;
  if (random.chance(0.5)) {
    const value = random.pick(['1', '60', '0', 'x', '1.5', '-1']);
    return { text: equals + value, value };
  }
  const value = random.text(QUOTABLE, 5);
  const escaped = Array.from(value)
    .map((c) => (c === '"' || c === '\\' || random.chance(0.1) ? `\\${c}` : c))
    .join('');
  return { text: `${equals}"${escaped}"`, value };
}
