import { applyDecorators } from '@nestjs/common';
import { ApiHeader, ApiQuery } from '@nestjs/swagger';
import { TAG, TIME, VALUE } from '../schemas.js';

/* The parameters and answers of reads and writes that go back to what a key was. */

function query(name: string, schema: object, description: string): MethodDecorator {
  return ApiQuery({ name, required: false, description, schema });
}

/** Request headers and parameters of a read. */
export const PAST = applyDecorators(
  query(
    'history',
    { type: 'boolean' },
    'Asks for the changes of the key, newest first, instead of its value.',
  ),
  query(
    'after',
    { type: 'string', minLength: 1 },
    'Of a history: only changes before this tag, the `next` of the page before.',
  ),
  query(
    'limit',
    { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
    'Changes of a page of a history at most; it also ends after 4 MiB of values.',
  ),
  query('values', { type: 'boolean', default: true }, 'Whether the changes of a history have their values.'),
  query(
    'at',
    { type: 'string', minLength: 1 },
    'The value as it was: after the change of a tag, without its quotes, or at a time, with its offset (RFC 3339).',
  ),
  ApiHeader({
    name: 'Accept-Datetime',
    required: false,
    description: 'The value as it was at this HTTP date (RFC 7089).',
    schema: { type: 'string' },
  }),
);

/** The parameter of a write. */
export const FROM = query(
  'from',
  { type: 'string', minLength: 1 },
  'The tag of an earlier version, whose value and type are stored again. Without a body.',
);

export const PAST_ERRORS = ['history-gone', 'not-supported'] as const;

const CHANGE = {
  title: 'PastChange',
  type: 'object',
  required: ['etag', 'kind', 'time', 'by', 'type', 'size'],
  additionalProperties: false,
  properties: {
    etag: TAG,
    kind: { type: 'string', enum: ['put', 'delete', 'expire'] },
    time: TIME,
    by: {
      type: ['string', 'null'],
      description: 'The token that made it; null if there was none, or if it is not yours to know.',
    },
    type: { type: ['string', 'null'], description: 'Of a put: the type of the value.' },
    size: { type: ['integer', 'null'], description: 'Of a put: bytes of the value.' },
    ...VALUE,
  },
};

export const HISTORY = {
  title: 'History',
  type: 'object',
  required: ['items', 'next'],
  additionalProperties: false,
  properties: {
    items: { type: 'array', items: CHANGE },
    next: { type: ['string', 'null'], description: 'What `after` takes to go on; null at the end.' },
    cut: {
      type: 'boolean',
      enum: [true],
      description: 'There may have been earlier changes, which the log has no more; only then.',
    },
  },
};

const AT = { etag: '6b0362d6-0000000000001', kind: 'put', time: '2030-01-31T12:00:00.000Z' };

export const HISTORY_EXAMPLE = {
  items: [{ ...AT, by: null, type: 'application/json', size: 14, value: '{"name":"Ada"}' }],
  next: null,
};
