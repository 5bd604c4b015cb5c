import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { DatabaseError } from '../../errors.js';
import { TEXT } from '../../storage/entry.js';

/** The one type of patch that is taken (RFC 7396). */
export const MERGE_PATCH = 'application/merge-patch+json';
/** The type of JSON that the server writes. */
export const JSON_TYPE = 'application/json';
/** All names of lines of JSON: one type. The server writes the first. */
export const NDJSON_TYPES = [
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonlines',
] as const;
const CONTENT_TYPE = 'content-type';
const BINARY = 'application/octet-stream';
const FORM = 'application/x-www-form-urlencoded';
const MAX_LENGTH = 255;
const TOKEN = "[!#$%&'*+.^_`|~\\w-]+";
/** A name has no star, which would mean many types (RFC 6838, 4.2). */
const NAME = TOKEN.replace('*', '');
// Only one part may take the space between two semicolons, or a mismatch would try every way to share it out.
const QUOTED = '"(?:[\\x20-\\x21\\x23-\\x5b\\x5d-\\x7e]|\\\\[\\x20-\\x7e])*"';
const PARAMETER = `[ \\t]*;(?:[ \\t]*${TOKEN}=(?:${TOKEN}|${QUOTED}))?`;
const MEDIA_TYPE = new RegExp(`^${NAME}/${NAME}(?:${PARAMETER})*$`);

/**
 * Returns the Content-Type of a request, if it has one. Of several, Node would return the first.
 * @throws DatabaseError `invalid-type` if there are several
 */
export function contentTypeOf({ rawHeaders }: IncomingMessage): string | undefined {
  let type: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length !== CONTENT_TYPE.length || name.toLowerCase() !== CONTENT_TYPE) continue;
    if (type !== undefined)
      throw new DatabaseError('invalid-type', 'A request may have one Content-Type header, not several.');
    type = rawHeaders[i + 1]!;
  }
  return type;
}

/** Returns type and subtype in lower case, without parameters. */
export function essenceOf(type: string): string {
  const semicolon = type.indexOf(';');
  return (semicolon < 0 ? type : type.slice(0, semicolon)).trim().toLowerCase();
}

/** Whether values of this type are JSON, whatever its parameters and its case. */
export function isJson(type: string): boolean {
  return type === JSON_TYPE || essenceOf(type) === JSON_TYPE;
}

/** Whether values of this type are text. */
export function isText(type: string): boolean {
  return type === TEXT || essenceOf(type).startsWith('text/');
}

/**
 * Returns the type to store with a value. Without a type, or with that of forms and of a bare `curl -d`, text is text and
 * anything else is bytes.
 * @throws DatabaseError `invalid-type`, `unsupported-type`: what is stored can always be sent back as a header
 */
export function storedType(header: string | undefined, value: Buffer): string {
  const essence = header === undefined ? FORM : essenceOf(header);
  if (essence === FORM) return isUtf8(value) ? TEXT : BINARY;
  checkMediaType(header!);
  return header!;
}

/** @throws DatabaseError `invalid-type`, `unsupported-type` */
export function checkMediaType(type: string): void {
  if (type.length > MAX_LENGTH || !MEDIA_TYPE.test(type)) {
    throw new DatabaseError(
      'invalid-type',
      `A Content-Type must be one media type, such as \`image/png\`, of at most ${MAX_LENGTH} ASCII characters.`,
    );
  }
  if (essenceOf(type).startsWith('multipart/')) {
    throw new DatabaseError(
      'unsupported-type',
      'A value is one thing: send its bytes with their own type, not as multipart.',
    );
  }
  // Browsers took UTF-7 for markup that no filter saw.
  if (/charset\s*=\s*"?utf-?7/i.test(type))
    throw new DatabaseError('unsupported-type', 'Text in UTF-7 is not taken: send it as UTF-8.');
}
