import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { applyPatch } from '../../../src/kv/entry/merge-patch.js';
import { wholeOf } from './whole.js';

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

const isObject = (value: unknown): value is Record<string, Json> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** MergePatch as RFC 7396, section 2, has it. */
function merged(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) result.delete(name);
    else result.set(name, merged(result.get(name), value));
  }
  return Object.fromEntries(result);
}

function patched(text: string, patch: string, maxBytes = 2 ** 20): string {
  const value = Buffer.from(text);
  const header = { key: 'k', type: 'application/json', etag: 'e', created: 0, modified: 0, expires: 0 };
  const entry = { ...header, value, size: value.length };
  return wholeOf(applyPatch(entry, Buffer.from(patch), maxBytes)).toString();
}

const { value: json } = fc.letrec<{ value: Json; object: Json; list: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, 0, 1.5, true, 'é', '😀"\\'),
    tie('object'),
    tie('list'),
  ),
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__', '1', 'é"'), tie('value'), { maxKeys: 4 }),
  list: fc.array(tie('value'), { maxLength: 3 }),
}));

it('a merge patch does what RFC 7396 says, however value and patch are written', () => {
  fc.assert(
    fc.property(json, json, fc.constantFrom(0, 2), (target, patch, indent) => {
      const text = patched(JSON.stringify(target, null, indent), JSON.stringify(patch, null, indent));
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(merged(target, patch))));
      expect(text.length).toBe(JSON.stringify(JSON.parse(text)).length);
    }),
    { numRuns: 3000 },
  );
});

it('a merge patch leaves what it does not name as it was written', () => {
  expect(patched('{"10": [1.0, 1e400], "b":{"c":-0,"c": 2}, "a": "\\u0041"}', '{"a":null,"d":0.10}')).toBe(
    '{"10":[1.0,1e400],"b":{"c":-0,"c":2},"d":0.10}',
  );
});

it('a merge patch takes a value of the limit, and no larger one', () => {
  expect(patched('{"a":1}', '{"b":2}', 7)).toBe('{"a":1,"b":2}');
  expect(() => patched('{"a":1}', '{"b":2}', 6)).toThrow(
    expect.objectContaining({
      code: 'value-too-large',
      context: { limit: 6, setting: 'MAX_PATCH_BYTES' },
    }),
  );
});
