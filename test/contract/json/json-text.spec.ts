import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { compactJson, decodeString } from '../../../src/http/request/json-text.js';
import { readJson } from '../../../src/http/request/strict-json.js';
import { wholeOf } from './whole.js';

const decoded = (json: string) =>
  wholeOf(decodeString(wholeOf(readJson(Buffer.from(json), 'It'))))?.toString();
const compact = (json: string) => wholeOf(compactJson(wholeOf(readJson(Buffer.from(json), 'It')))).toString();

const unit = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 3 }).map((text) => JSON.stringify(text).slice(1, -1)),
  fc.nat(0xffff).map((code) => `\\u${code.toString(16).padStart(4, '0')}`),
  fc.nat(0xffff).map((code) => `\\u${code.toString(16).padStart(4, '0').toUpperCase()}`),
  fc.constantFrom(
    '\\ud83d\\ude00',
    '\\uD83D',
    '\\uDE00',
    '\\/',
    '\\b',
    '\\f',
    '\\n',
    '\\r',
    '\\t',
    '\\"',
    '\\\\',
    'u',
  ),
);

describe('a string in JSON:', () => {
  it('means what JSON.parse says, or is no text', () => {
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 12 }), (units) => {
        const json = `"${units.join('')}"`;
        const text = JSON.parse(json) as string;
        expect(decoded(json)).toBe(text.isWellFormed() ? text : undefined);
      }),
      { numRuns: 3000 },
    );
  });

  it('may be long, and have its escapes anywhere', () => {
    for (let offset = 0; offset < 12; offset++) {
      const json = `"${'x'.repeat(offset)}${'\\ud83d\\ude00\\u00e9'.repeat(5000)}"`;
      expect(decoded(json) === JSON.parse(json)).toBe(true);
    }
  });
});

describe('compact JSON:', () => {
  it('has no white space between its parts, and all of it in strings', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(1, 7, '\t', '\r\n '), (value, indent) => {
        expect(compact(` ${JSON.stringify(value, null, indent)}\n`)).toBe(JSON.stringify(value));
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['{"b" : 1, "10" : 1.50, "b":2}', '{"b":1,"10":1.50,"b":2}'],
    ['[ 1e400 , -0 , 12345678901234567890 ]', '[1e400,-0,12345678901234567890]'],
    ['{" a\\" " : " \\\\" , "\\u0041" : "\\/"}', '{" a\\" ":" \\\\","\\u0041":"\\/"}'],
  ])('keeps order, digits and escapes: %s', (json, text) => {
    expect(compact(json)).toBe(text);
  });
});
