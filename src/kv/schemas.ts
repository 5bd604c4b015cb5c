/*
 * The shapes that the API's own description names more than once, as plain JSON Schema. Those with a title become
 * components of the document.
 */

export const KEY = { type: 'string', minLength: 1, maxLength: 1024 };

/** A body that is taken or given as it is. As `string` alone, generated clients send it as JSON, in quotes. */
export const BYTES = { type: 'string', format: 'binary' };

/** A tag as JSON has it, without quotes. */
export const TAG = { type: 'string', minLength: 1, example: '6b0362d6-0000000000001' };

export const TIME = { type: 'string', format: 'date-time' };

export const TTL = {
  title: 'Ttl',
  description:
    'Seconds, or a whole number with `ms`, `s`, `m`, `h` or `d`, up to 100 years; `none`: for ever; `keep`: as it is.',
  type: 'string',
  pattern: '^([0-9]{1,13}(ms|[smhd])?|none|keep)$',
};

/** A value inside JSON is one of these two, so that every byte survives. */
export const VALUE = {
  value: { type: 'string', description: 'The value, if its bytes are UTF-8.' },
  base64: { type: 'string', format: 'byte', description: 'The value, if its bytes are not UTF-8.' },
};

const DESCRIPTION = {
  key: KEY,
  etag: TAG,
  type: { type: 'string', description: 'The Content-Type the value is given back with.' },
  size: { type: 'integer', minimum: 0, description: 'Bytes of the value.' },
  created: TIME,
  modified: TIME,
  expires: { type: ['string', 'null'], format: 'date-time' },
};

export const ENTRY = {
  title: 'Entry',
  description: 'An entry without its value.',
  type: 'object',
  required: Object.keys(DESCRIPTION),
  additionalProperties: false,
  properties: DESCRIPTION,
};

export const ITEM = {
  ...ENTRY,
  title: 'Item',
  description: 'An entry of a page; with its value if `values=true`.',
  properties: { ...DESCRIPTION, ...VALUE },
};

export const ENTRY_EXAMPLE = {
  key: 'example/ada',
  etag: '6b0362d6-0000000000001',
  type: 'application/json',
  size: 14,
  created: '2030-01-31T12:00:00.000Z',
  modified: '2030-01-31T12:00:00.000Z',
  expires: null,
};

function header(description: string, schema: object, required = true) {
  return { description, required, schema };
}

/** Headers of answers, by name. */
const HEADERS = {
  ETag: header('The strong tag of what is answered, for If-Match and If-None-Match.', {
    type: 'string',
    pattern: '^"[!#-~]+"$',
  }),
  'Last-Modified': header('When the entry was last written.', { type: 'string' }),
  'KV-Expires': header('When the entry will be gone; absent if it stays.', TIME, false),
  Location: header('The path of the new entry.', { type: 'string', format: 'uri-reference' }),
  'Accept-Ranges': header('Ranges are of bytes.', { type: 'string', enum: ['bytes'] }),
  'Content-Range': header('Which bytes these are, and of how many.', {
    type: 'string',
    pattern: '^bytes [0-9]+-[0-9]+/[0-9]+$',
  }),
  Link: header(
    'The next page, `<…>; rel="next"`; absent on the last.',
    { type: 'string', pattern: '; rel="next"$' },
    false,
  ),
  'Memento-Datetime': header('Of an earlier version: when it was made.', { type: 'string' }, false),
  'Content-Location': header(
    'Where the version is that Accept-Datetime has led to.',
    { type: 'string', format: 'uri-reference' },
    false,
  ),
  'Preference-Applied': header('How long the answer was held at most.', { type: 'string' }, false),
  'KV-Revision': header(
    'What the answer shows, for `since`; absent on a cluster, where changes have no one order.',
    { type: 'string', pattern: '^[0-9A-Za-z_-]+$' },
    false,
  ),
  'KV-Count': header('How many entries the whole range has.', { type: 'string', pattern: '^[0-9]+$' }),
};

type HeaderName = keyof typeof HEADERS;

/** Some of them. */
export function headers(...names: HeaderName[]) {
  return Object.fromEntries(names.map((name) => [name, HEADERS[name]]));
}

/** Some of them, on answers that do not always have them. */
export function optionalHeaders(...names: HeaderName[]) {
  return Object.fromEntries(names.map((name) => [name, { ...HEADERS[name], required: false }]));
}
