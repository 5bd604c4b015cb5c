import type { IncomingMessage } from 'node:http';
import { splitField } from './field-list.js';

const TOKEN = "[!#$%&'*+.^_`|~\\w-]+";
const VALUE = `[ \\t]*=[ \\t]*(?:(${TOKEN})|"((?:[^"\\\\]|\\\\.)*)")`;
/** One preference: name, value, and parameters, which are no preferences. */
const PREFERENCE = new RegExp(
  `^[ \\t]*(${TOKEN})(?:${VALUE})?(?:[ \\t]*;(?:[ \\t]*${TOKEN}(?:${VALUE})?)?)*[ \\t]*$`,
);

/**
 * Returns the value of a preference of `Prefer` (RFC 7240, section 2), empty if it has none; undefined if it is not there.
 * The first of several counts. What is malformed is no preference.
 */
export function preferenceOf({ headers }: IncomingMessage, name: string): string | undefined {
  const { prefer } = headers;
  if (prefer === undefined) return undefined;
  for (const element of splitField(String(prefer), ',')) {
    const [, found, token, quoted = ''] = PREFERENCE.exec(element) ?? [];
    if (found?.toLowerCase() === name) return token ?? quoted.replace(/\\(.)/g, '$1');
  }
  return undefined;
}

/** Whether the client would rather have a part than an error, with `Prefer: handling=lenient` (RFC 7240, 4.4). */
export function prefersLenient(request: IncomingMessage): boolean {
  return preferenceOf(request, 'handling')?.toLowerCase() === 'lenient';
}
