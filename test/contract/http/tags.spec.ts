import { describe, expect, test } from '@jest/globals';
import type { IncomingMessage } from 'node:http';
import { conditionOf } from '../../../src/http/request/preconditions.js';
import { parseBatch } from '../../../src/kv/batch/batch-request.js';
import type { BatchOperation } from '../../../src/storage/operation.js';
import { Random } from '../../support/random.js';
import { wholeOf } from '../json/whole.js';

type Tags = '*' | readonly string[];
type Name = 'ifMatch' | 'ifNoneMatch';
const HEADERS = { ifMatch: 'if-match', ifNoneMatch: 'if-none-match' };
const NAMES: Name[] = ['ifMatch', 'ifNoneMatch'];

function inHeader(name: Name, text: string): string | readonly string[] {
  const request = { headers: { [HEADERS[name]]: text } } as unknown as IncomingMessage;
  try {
    return conditionOf(request)![name]!;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

function inBatch(name: Name, text: string): string | readonly string[] {
  const ops = [
    { op: 'delete', key: 'first' },
    { op: 'check', key: 'k', [name]: text },
  ];
  try {
    const { operations } = wholeOf(parseBatch(Buffer.from(JSON.stringify({ ops })), 0));
    const [, operation] = operations as BatchOperation[];
    return operation!.condition![name]!;
  } catch (error) {
    const { code, context } = error as { code: string; context: object };
    expect(context).toEqual({ index: 1 });
    return code;
  }
}

describe('tags of conditions', () => {
  test('are in a batch what they are in headers, and what RFC 9110, 8.8.3 and 13.1 make of them', () => {
    const random = new Random(13);
    const seen = { tags: 0, malformed: 0 };
    for (let i = 0; i < 6000; i++) {
      const name = random.pick(NAMES);
      const text = randomTags(random);
      const expected = oracle(text, name === 'ifNoneMatch');
      expect({ name, text, tags: inHeader(name, text) }).toEqual({
        name,
        text,
        tags: expected ?? 'invalid-condition',
      });
      // Without quotes it is one tag as `etag` gives it, and only there.
      const bare = Array.from(text).every((c) => /[A-Za-z0-9_-]/.test(c)) && text !== '' ? [text] : undefined;
      expect({ name, text, tags: inBatch(name, text) }).toEqual({
        name,
        text,
        tags: bare ?? expected ?? 'invalid-batch',
      });
      seen[expected ? 'tags' : 'malformed']++;
    }
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(1500);
  });
});

/** Reads a list of tags a character at a time; weak ones count only if `weakly`. Undefined if it is malformed. */
function oracle(text: string, weakly: boolean): Tags | undefined {
  const isSpace = (c: string | undefined) => c === ' ' || c === '\t';
  let at = 0;
  const skip = () => {
    while (isSpace(text[at])) at++;
  };
  skip();
  if (text.slice(at).replace(/[ \t]+$/, '') === '*') return '*';
  const tags: string[] = [];
  let elements = 0;
  for (let separated = true; ;) {
    skip();
    if (at === text.length) return elements > 0 ? tags : undefined;
    if (text[at] === ',') {
      separated = true;
      at++;
      continue;
    }
    if (!separated) return undefined;
    const isWeak = text.startsWith('W/', at);
    if (isWeak) at += 2;
    if (text[at] !== '"') return undefined;
    const start = ++at;
    while (at < text.length && text[at] !== '"') {
      const code = text.charCodeAt(at++);
      if (!(code === 0x21 || (code >= 0x23 && code <= 0x7e) || (code >= 0x80 && code <= 0xff)))
        return undefined;
    }
    if (at === text.length) return undefined;
    if (weakly || !isWeak) tags.push(text.slice(start, at));
    at++;
    elements++;
    separated = false;
  }
}

const CHARACTERS = [...Array.from('ab-_0,*/\\;!~'), 'W/', '\u0080', 'é', 'ÿ'];

function randomTags(random: Random): string {
  if (random.chance(0.05)) return random.pick(['*', ' *', '* ', '', ' ', ',', '**', '"*"', 'W/*']);
  if (random.chance(0.1)) return random.text([...Array.from('abW/_-09"'), ' '], 6);
  const elements = Array.from({ length: 1 + random.below(3) }, () => {
    if (random.chance(0.1)) return '';
    const tag = `${random.pick(['', '', 'W/'])}"${random.text(CHARACTERS, 5)}"`;
    if (random.chance(0.85)) return tag;
    const at = random.below(tag.length);
    return (
      tag.slice(0, at) + random.pick(['', ' ', '"', 'w/', '€', '\u007f']) + tag.slice(at + random.below(2))
    );
  });
  return elements
    .map((element) => random.pick(['', '', ' ', '\t']) + element + random.pick(['', '', ' ']))
    .join(',');
}
