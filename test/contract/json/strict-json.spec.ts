import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DatabaseError } from '../../../src/errors.js';
import type { OutlineLevel } from '../../../src/http/request/json-outline.js';
import { JsonScanner } from '../../../src/http/request/json-scanner.js';
import { readJson } from '../../../src/http/request/strict-json.js';
import { wholeOf } from './whole.js';

const SHOWN: readonly OutlineLevel[] = Array.from({ length: 128 }, (_, depth) => ({
  bracket: depth % 2 === 0 ? '{' : '[',
  most: Infinity,
}));

/** Returns why `text` is no JSON; undefined if it is. */
function refusalOf(text: string | Buffer): string | undefined {
  try {
    wholeOf(readJson(Buffer.from(text as string), 'It', SHOWN));
    return undefined;
  } catch (error) {
    expect((error as DatabaseError).code).toBe('invalid-json');
    return (error as DatabaseError).detail;
  }
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const deep = (depth: number, [open, close]: [string, string] = ['[', ']']) =>
  open.repeat(depth) + close.repeat(depth);
const BRACKETS = { a: ['[', ']'], b: ['{"a":[', ']}'] } as const;

const GOOD = [
  '0',
  '-0',
  '-0.0',
  '10',
  '1.5',
  '1e5',
  '1E+5',
  '1e-05',
  '0e0',
  '0.0e+00',
  '12345678901234567890',
  '1e400',
  'true',
  'false',
  'null',
  '""',
  '[]',
  '{}',
  ' \t\n\r[ ] ',
  '[1 , 2]',
  '{"a" : 1 , "a" : 2}',
  '{"":0}',
  '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00fF"',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  '"\\u0000"',
  '"\u007f\u2028é😀"',
  '"[{,:"',
  '{"a":{"b":[{"c":[null,true]}]}}',
  '[[],{},"",0]',
  '1 ',
  ' 1',
  'null\n',
  '[1]\r\n',
  deep(128),
  `{"a":"${'['.repeat(500)}"}`,
  `"${'x'.repeat(100_000)}"`,
  '1'.repeat(100_000),
  `[${'{},'.repeat(50_000)}{}]`,
];

const BAD = [
  '',
  ' ',
  '-',
  '+1',
  '01',
  '-01',
  '00',
  '1.',
  '.5',
  '1.e1',
  '1e',
  '1e+',
  '1E-',
  '0x1',
  '1_0',
  '--1',
  '1-1',
  '1e1.5',
  'NaN',
  'Infinity',
  '-Infinity',
  'undefined',
  'tru',
  'truee',
  'True',
  'nul',
  'nulll',
  'falsey',
  'true false',
  '[',
  ']',
  '{',
  '}',
  '[1',
  '[1,',
  '[1,]',
  '[,1]',
  '[,]',
  '[1 2]',
  '[1}',
  '{"a":1]',
  '{]',
  '[}',
  '[]]',
  '{}}',
  '{"a"}',
  '{"a":}',
  '{"a":1,}',
  '{,}',
  '{a:1}',
  "{'a':1}",
  '{1:1}',
  '{"a":1 "b":2}',
  '{"a"::1}',
  '{"a",1}',
  '{:1}',
  '"',
  '"a',
  '"\\"',
  '"\\',
  '"\\x"',
  '"\\u"',
  '"\\u123"',
  '"\\u12g4"',
  '"\\U0041"',
  '"\\u 041"',
  "'a'",
  '"\\\n"',
  '"\t"',
  '"\n"',
  '"\0"',
  '"\x1f"',
  '\0',
  '\f1',
  '\u00a01',
  '1\u2028',
  '// c\n1',
  '/**/1',
  '1,2',
  '"a""b"',
  '1"',
  '[1]2',
  '{} {}',
  '\ufeff{}',
  '#',
  '[\x01]',
  '{"a":1}x',
  '@',
  deep(129),
  '[{"a":'.repeat(65) + '1' + '}]'.repeat(65),
];

describe('JSON:', () => {
  it.each(GOOD.map((text) => [text.slice(0, 50), text]))('takes %j', (_, text) => {
    expect(refusalOf(text)).toBeUndefined();
    expect(parses(text)).toBe(true);
  });

  it.each(BAD.map((text) => [text.slice(0, 50), text]))('refuses %j', (_, text) => {
    expect(refusalOf(text)).toMatch(/^It is not valid JSON: .*\w\.$/);
  });

  it.each([
    ['[1,]', 'there is no value at position 3'],
    ['{"a":1,}', 'there is no name in double quotes at position 7'],
    ['{"a" 1}', 'there is no colon at position 5'],
    ['{"a":1;}', 'a number is malformed at position 6'],
    ['[true', 'it ends in the middle'],
    ['["a" "b"]', 'there is neither a comma nor the end of the list at position 5'],
    ['1 2', 'something follows the value at position 2'],
    ['"\t"', 'a string has a control character that is not escaped at position 1'],
    ['"\\u00g0"', 'a string has an unknown escape at position 5'],
    ['nil', 'a word is neither true, false nor null at position 1'],
    [' ', 'it is empty'],
    [deep(129), 'it is nested deeper than 128 levels'],
  ])('says what is wrong with %s', (text, reason) => {
    expect(refusalOf(text)).toBe(`It is not valid JSON: ${reason}.`);
  });

  it.each([
    ['a stray byte', Buffer.from([0x22, 0xff, 0x22])],
    ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['half a character', Buffer.from([0x22, 0xc3, 0x22])],
    ['an overlong form', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['UTF-16', Buffer.from('"a"', 'utf16le')],
  ])('refuses %s', (_, bytes) => {
    expect(refusalOf(bytes)).toBeDefined();
  });

  it.each(Object.values(BRACKETS))('takes 128 levels of %s and no more', (open, close) => {
    const levels = 128 / open.replace(/[^[{]/g, '').length;
    expect(refusalOf(open.repeat(levels) + close.repeat(levels))).toBeUndefined();
    expect(refusalOf(`[${open.repeat(levels)}${close.repeat(levels)}]`)).toContain('128 levels');
  });

  it('takes what JSON.parse takes, and nothing else', () => {
    const spaces = fc.constantFrom(0, 1, '\t', ' \n');
    const valid = fc.tuple(fc.jsonValue({ maxDepth: 6 }), spaces).map(([v, s]) => JSON.stringify(v, null, s));
    const piece = fc.constantFrom(
      '[',
      ']',
      '{',
      '}',
      ':',
      ',',
      '"',
      '\\',
      '/',
      'u',
      '0',
      '1',
      '9',
      '-',
      '+',
      '.',
      'e',
      'E',
      't',
      'true',
      'f',
      'false',
      'n',
      'null',
      ' ',
      '\n',
      '\t',
      '\0',
      'a',
      '"a"',
      '"a":',
      '\\u00e9',
      'é',
      '\ud83d',
    );
    const random = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join('').toWellFormed());
    const change = fc.tuple(fc.nat(), fc.nat(2), fc.oneof(piece, fc.constant('')));
    const changed = fc.tuple(valid, fc.array(change, { minLength: 1, maxLength: 3 })).map(([text, changes]) =>
      changes
        .reduce((all, [at, length, put]) => {
          const start = at % (all.length + 1);
          return all.slice(0, start) + put + all.slice(start + length);
        }, text)
        .toWellFormed(),
    );
    fc.assert(
      fc.property(fc.oneof(valid, random, changed), (text) => {
        expect(refusalOf(text) === undefined).toBe(parses(text));
      }),
      { numRuns: 5000 },
    );
  });

  it('comes to the same in pieces of any size', () => {
    const text = fc.oneof(fc.json({ maxDepth: 4 }), fc.constantFrom(...GOOD, ...BAD));
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 9 }), (json, size) => {
        if (json.length > 5000) return;
        const scanner = new JsonScanner(Buffer.from(json), 'It');
        let valid = true;
        try {
          while (!scanner.step(size));
        } catch {
          valid = false;
        }
        // An outline without a root is blank, which only an import takes.
        const isBlank = scanner.outline.root === undefined;
        const isBom = json.startsWith('\ufeff');
        expect(valid && !isBlank).toBe(!isBom && refusalOf(json) === undefined);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the outline of JSON:', () => {
  it('has the bytes of each member, the last of those with one name', () => {
    const member = fc.tuple(
      fc.oneof(fc.constantFrom('a', '__proto__', 'é', '\ud800', '"'), fc.string()),
      fc.json(),
    );
    fc.assert(
      fc.property(fc.array(member, { maxLength: 8 }), (members) => {
        const text = `{${members.map(([name, json]) => ` ${JSON.stringify(name)} : ${json} `).join(',')}}`;
        const bytes = Buffer.from(text);
        const root = wholeOf(readJson(bytes, 'It', [{ bracket: '{', most: Infinity }]));
        expect([root.start, root.end]).toEqual([0, bytes.length]);
        const found = [...root.members!].map(([name, { start, end }]) => [
          name,
          bytes.toString('utf8', start, end),
        ]);
        expect(Object.fromEntries(found)).toEqual(Object.fromEntries(members));
      }),
    );
  });

  it('shows the levels that it is asked for, and only those', () => {
    const levels: OutlineLevel[] = [
      { bracket: '{', most: 2 },
      { bracket: '[', most: 2 },
    ];
    const outlineOf = (text: string) => wholeOf(readJson(Buffer.from(text), 'It', levels));
    const { members } = outlineOf('{"a":[1,[2],{"x":3}],"b":{"c":[]},"d":1,"a":[4, 5,6 ]}');
    expect([...members!.keys()]).toEqual(['a', 'b']);
    expect(members!.get('a')!.count).toBe(3);
    expect(members!.get('a')!.items!.map(({ scalar }) => scalar)).toEqual(['4', '5']);
    expect(members!.get('b')!.members).toBeUndefined();
    expect(outlineOf('[{"a":1}]').items).toBeUndefined();
    expect(outlineOf(' -1.5e3 ').scalar).toBe('-1.5e3');
    for (const text of ['"a"', '{}', '[]']) expect(outlineOf(text).scalar).toBeUndefined();
  });
});
