import apply from 'json8-merge-patch/lib/apply.js';
import { DatabaseError } from '../errors.js';
import type { Entry } from '../storage/entry.js';
import { parseJson } from './json-value.js';
import { essenceOf } from './media-type.js';

/**
 * An RFC 7396 merge patch as an edit of an entry. Numbers of a patched value pass through IEEE doubles.
 * @throws DatabaseError `not-json` from the edit if the value is not JSON
 */
export function mergePatch(patch: Buffer): (entry: Entry) => Buffer {
  parseJson(patch, 'The patch');
  return (entry) => {
    if (essenceOf(entry.type) !== 'application/json') {
      throw new DatabaseError(
        'not-json',
        `The value of the key \`${entry.key}\` is ${entry.type}, not application/json.`,
      );
    }
    // Parsed anew each time, because the library edits in place.
    return Buffer.from(JSON.stringify(apply(parsed(entry.value), parsed(patch), { pollute: true })));
  };
}

/** Objects without a prototype, on which `__proto__` is a member like any other. */
function parsed(bytes: Buffer): unknown {
  return JSON.parse(bytes.toString(), (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.assign(Object.create(null) as object, value)
      : value,
  );
}
