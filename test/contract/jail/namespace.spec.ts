import { describe, expect, it } from '@jest/globals';
import { MAX_NAMESPACE_BYTES } from '../../../src/storage/entry.js';
import { namespaceFault } from '../../../src/storage/jail/namespace.js';

const LONGEST = `${'é'.repeat(127)}1/`;

describe('a namespace', () => {
  it('is empty or ends with a slash, has at most 256 bytes, and tags only whole', () => {
    expect(Buffer.byteLength(LONGEST)).toBe(MAX_NAMESPACE_BYTES);
    const namespaces = [
      '',
      '/',
      '//',
      'app1/',
      'a/b/',
      '😀/',
      '\0/',
      LONGEST,
      '{t}/',
      'a{t}b{u}/',
      '{t/}/',
      '`/',
    ];
    expect(namespaces.filter((each) => namespaceFault(each) !== undefined)).toEqual([]);
  });

  it.each([
    ['app1', 'ends with `/`'],
    [' ', 'ends with `/`'],
    [`1${LONGEST}`, 'at most 256 bytes'],
    ['\ud800/', 'surrogate'],
    ['{/', 'Braces'],
    ['}/', 'Braces'],
    ['{}/', 'Braces'],
    ['{t/', 'Braces'],
    ['t}/', 'Braces'],
    ['}{/', 'Braces'],
    ['{t}{/', 'Braces'],
    ['{t}}/', 'Braces'],
    ['{{t}}/', 'Braces'],
  ])('is not %j, and a sentence says why', (text, why) => {
    expect(namespaceFault(text)).toMatch(/^\S.*\.$/);
    expect(namespaceFault(text)).toContain(why);
  });
});
