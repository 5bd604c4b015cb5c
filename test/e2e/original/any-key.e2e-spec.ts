import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ask, getPath, setPath, wholeDatabase } from '../../support/http.js';
import { shortOrLong } from '../../support/long-run.js';
import type { Target } from '../../support/target.js';
import { describeOn, TARGETS } from '../../support/ways.js';

const MAX_KEY_BYTES = 1024;
/** A URL of 60 KiB holds this much even when every byte of the value is an escape. */
const MAX_VALUE_BYTES = 18 * 1024;
const RUNS = shortOrLong(40, 400);

/** Text as form encoders write it, all of which mean the same. */
const SPELLINGS: ((text: string) => string)[] = [
  encodeURIComponent,
  (text) => encodeURIComponent(text).replaceAll('%20', '+'),
  (text) => encodeURIComponent(text).replace(/%../g, (escape) => escape.toLowerCase()),
  (text) => Buffer.from(text).toString('hex').replace(/../g, '%$&'),
];

/** Any well-formed text of at most `bytes` bytes of UTF-8: all of Unicode, from short to as long as it may be. */
function text(bytes: number, minLength: number): fc.Arbitrary<string> {
  const anyLength = fc.string({ unit: 'binary', minLength, maxLength: bytes, size: 'max' });
  const short = fc.string({ unit: 'binary', minLength, maxLength: 12 });
  const oneCharacter = fc.tuple(fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), fc.nat(bytes));
  const repeated = oneCharacter.map(([character, times]) => character.repeat(times || 1));
  return fc.oneof(short, anyLength, repeated).map((long) => cut(long, bytes));
}

function cut(long: string, bytes: number): string {
  let room = bytes;
  let end = 0;
  for (const character of long) {
    room -= Buffer.byteLength(character);
    if (room < 0) break;
    end += character.length;
  }
  return long.slice(0, end);
}

describeOn(TARGETS)('any key and any text, $name', ({ start }) => {
  let target: Target;
  beforeAll(async () => {
    target = await start();
  });
  afterAll(() => target.close());

  test('round-trips through /set, /get and /', async () => {
    const stored = new Map<string, string>();
    const property = fc.asyncProperty(
      text(MAX_KEY_BYTES, 1),
      text(MAX_VALUE_BYTES, 0),
      fc.constantFrom(...SPELLINGS),
      async (key, value, spell) => {
        const member = `{${JSON.stringify(key)}:${JSON.stringify(value)}}`;
        const set = await ask(target.port, `/set?${spell(key)}=${spell(value)}`);
        expect(set).toMatchObject({ status: stored.has(key) ? 200 : 201, text: member });
        stored.set(key, value);
        const get = await ask(target.port, `/get?key=${spell(key)}`);
        expect(get).toMatchObject({ status: 200, text: member });
      },
    );
    await fc.assert(property, { numRuns: RUNS });
    const whole = await ask(target.port, '/');
    expect(whole.text === wholeDatabase(stored)).toBe(true);
  });

  test.each([
    { character: 'k', bytes: 1 },
    { character: 'é', bytes: 2 },
    { character: '中', bytes: 3 },
    { character: '🐦', bytes: 4 },
  ])('a key of $character may have 1024 bytes and no more', async ({ character, bytes }) => {
    const longest = character.repeat(Math.floor(MAX_KEY_BYTES / bytes));
    const padded = longest + 'p'.repeat(MAX_KEY_BYTES - Buffer.byteLength(longest));
    expect(Buffer.byteLength(padded)).toBe(MAX_KEY_BYTES);
    expect((await ask(target.port, setPath(padded, 'v'))).status).toBe(201);
    expect((await ask(target.port, getPath(padded))).text).toBe(`{${JSON.stringify(padded)}:"v"}`);
    for (const tooLong of [`${padded}p`, `${padded}${character}`]) await isRefused(tooLong);
  });

  test.each([2048, 10_000, 60_000])('a key of %i bytes is refused', (bytes) => isRefused('k'.repeat(bytes)));

  async function isRefused(key: string): Promise<void> {
    const before = (await ask(target.port, '/')).text;
    for (const path of [getPath(key), setPath(key, 'v')]) {
      const answer = await ask(target.port, path);
      expect(answer.status).toBe(400);
      expect(JSON.parse(answer.text)).toEqual({
        title: expect.stringMatching(/./),
        detail: `A key must have 1 to 1024 bytes of UTF-8; this one has ${Buffer.byteLength(key)}.`,
      });
    }
    expect((await ask(target.port, '/')).text).toBe(before);
  }
});
