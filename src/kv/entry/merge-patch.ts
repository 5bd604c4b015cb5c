import { DatabaseError } from '../../errors.js';
import type { Entry } from '../../storage/entry.js';
import { compactJson, markNumbers } from '../../http/request/lossless-json.js';
import { parseJson } from '../../http/request/strict-json.js';
import { essenceOf } from '../../http/request/media-type.js';

type Members = Record<string, unknown>;

/**
 * Returns a merge patch (RFC 7396) as an edit of an entry. No number loses a digit.
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
    // The patch is parsed each time, because it is edited in place.
    return Buffer.from(compactJson(apply(parsed(entry.value), parsed(patch))));
  };
}

/** MergePatch of RFC 7396, section 2. */
function apply(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result = isObject(target) ? target : (Object.create(null) as Members);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = apply(result[name], value);
  }
  return result;
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses into objects without a prototype, in which `__proto__` is a member like any other. */
function parsed(bytes: Buffer): unknown {
  return JSON.parse(markNumbers(bytes.toString()), (_, value: unknown) =>
    isObject(value) ? Object.assign(Object.create(null) as object, value) : value,
  );
}
