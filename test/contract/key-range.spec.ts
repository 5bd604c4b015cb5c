import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { compareKeys, groupOf, prefixEnd } from '../../src/storage/key-range.js';

/** Well-formed text, with the characters near the borders of UTF-8 lengths and of the surrogates more often. */
const border = fc.constantFrom(
  '\0',
  '\u007f',
  '\u0080',
  '\u07ff',
  '\u0800',
  '\ud7ff',
  '\ue000',
  '\uffff',
  '\u{10000}',
  '\u{10ffff}',
  'a',
  'b',
  '/',
  '😀',
  '😁',
);
const key = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.array(border, { maxLength: 6 }).map((units) => units.join('')),
);

describe('key order and bounds:', () => {
  it('compareKeys agrees with the order of the UTF-8 bytes', () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        const expected = Buffer.compare(Buffer.from(a), Buffer.from(b));
        expect(Math.sign(compareKeys(a, b))).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  it('prefixEnd is greater than every key with the prefix', () => {
    fc.assert(
      fc.property(key.filter(Boolean), key, (prefix, rest) => {
        expect(Buffer.compare(Buffer.from(prefix + rest), prefixEnd(prefix)!)).toBe(-1);
      }),
    );
  });

  it('prefixEnd is not greater than any key after those with the prefix', () => {
    fc.assert(
      fc.property(key.filter(Boolean), key, (prefix, other) => {
        fc.pre(!other.startsWith(prefix) && compareKeys(other, prefix) > 0);
        expect(Buffer.compare(prefixEnd(prefix)!, Buffer.from(other))).toBeLessThanOrEqual(0);
      }),
    );
  });

  it('prefixEnd adds one to the last byte, and is undefined for the empty prefix, which every key has', () => {
    expect(prefixEnd('')).toBeUndefined();
    expect(prefixEnd('a')).toEqual(Buffer.from('b'));
    expect(prefixEnd('\u{10ffff}')).toEqual(Buffer.from([0xf4, 0x8f, 0xbf, 0xc0]));
  });

  it('the name of a group ends with the first delimiter after the prefix', () => {
    expect(groupOf('u/a/b/c', 'u/', '/')).toBe('u/a/');
    expect(groupOf('u/a', 'u/', '/')).toBeUndefined();
    expect(groupOf('u//', 'u/', '/')).toBe('u//');
    expect(groupOf('a--b--c', '', '--')).toBe('a--');
    expect(groupOf('a/b', 'a/b', '/')).toBeUndefined();
  });

  it('no key of another group lies between the keys of a group', () => {
    fc.assert(
      fc.property(fc.uniqueArray(key, { maxLength: 30 }), (keys) => {
        const names = keys.toSorted(compareKeys).map((each) => groupOf(each, '', '/') ?? each);
        const runs = names.filter((name, i) => name !== names[i - 1]);
        expect(new Set(runs).size).toBe(runs.length);
      }),
    );
  });
});
