import type { IncomingMessage } from 'node:http';
import { splitField } from './field-list.js';

/**
 * Returns the value of a preference of the request (RFC 7240): empty if it has none, undefined if it is not named. Its
 * parameters are for others; if it is named twice, the first counts.
 */
export function preferenceOf({ headers }: IncomingMessage, name: string): string | undefined {
  if (headers.prefer === undefined) return undefined;
  for (const element of splitField(String(headers.prefer), ',')) {
    const [preference = ''] = splitField(element, ';');
    const equals = preference.indexOf('=');
    const token = equals < 0 ? preference : preference.slice(0, equals).trimEnd();
    if (token.toLowerCase() === name)
      return equals < 0 ? '' : unquote(preference.slice(equals + 1).trimStart());
  }
  return undefined;
}

/** Whether the client would rather have a part than an error, with `Prefer: handling=lenient` (RFC 7240, 4.4). */
export function prefersLenient(request: IncomingMessage): boolean {
  return preferenceOf(request, 'handling')?.toLowerCase() === 'lenient';
}

function unquote(word: string): string {
  const quoted = /^"((?:\\.|[^"\\])*)"$/.exec(word)?.[1];
  return quoted === undefined ? word : quoted.replace(/\\(.)/g, '$1');
}
