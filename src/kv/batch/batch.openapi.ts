import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { ENTRY, KEY, TAG, TTL, VALUE } from '../schemas.js';
import { describeOperation, jsonAnswer, WRITE_ERRORS } from '../../http/answer/operation.openapi.js';

/*
 * What the doc comment of BatchController cannot say: the operations of a batch and their results. Members that may be absent
 * have no `default`, which generators of clients take to mean that they are always there.
 */

const CONDITIONS = {
  ifMatch: {
    type: 'string',
    minLength: 1,
    description: 'Only if the entry has this tag, or one of several in quotes; `*`: any.',
  },
  ifNoneMatch: {
    type: 'string',
    minLength: 1,
    description: 'Only if it has not; `*`: if there is no entry.',
  },
};

const EXPIRY = {
  ttl: { anyOf: [TTL, { type: 'integer' }] },
  expires: {
    ...ENTRY.properties.expires,
    description: 'Instead of `ttl`: when the entry ends; null for never.',
  },
};

const TYPE = { type: 'string', description: 'The Content-Type to store with it.' };

function operation(op: string, members: object, more = {}) {
  return {
    title: `${op[0]!.toUpperCase()}${op.slice(1)}Operation`,
    type: 'object',
    required: ['op', 'key'],
    additionalProperties: false,
    properties: { op: { type: 'string', enum: [op] }, key: KEY, ...members },
    ...more,
  };
}

const BATCH = {
  title: 'Batch',
  type: 'object',
  required: ['ops'],
  additionalProperties: false,
  properties: {
    atomic: { type: 'boolean', description: 'All or nothing, also when absent; false: one after the other.' },
    ops: {
      type: 'array',
      minItems: 1,
      maxItems: 1000,
      items: {
        oneOf: [
          operation('check', CONDITIONS, {
            anyOf: [{ required: ['ifMatch'] }, { required: ['ifNoneMatch'] }],
          }),
          operation('get', {}),
          operation(
            'put',
            {
              value: {
                description:
                  'A string is text; any other JSON is stored as its compact text, every digit kept; members whose ' +
                  'names are whole numbers come first.',
              },
              base64: { type: 'string', format: 'byte' },
              type: TYPE,
              ...EXPIRY,
              ...CONDITIONS,
            },
            { oneOf: [{ required: ['value'] }, { required: ['base64'] }] },
          ),
          operation('incr', {
            by: { type: ['integer', 'string'], description: 'A 64-bit integer; 1 when absent.' },
            ...EXPIRY,
            ...CONDITIONS,
          }),
          operation(
            'touch',
            { ...EXPIRY, ...CONDITIONS },
            { oneOf: [{ required: ['ttl'] }, { required: ['expires'] }] },
          ),
          operation('delete', CONDITIONS),
        ],
      },
    },
  },
};

const RESULTS = {
  title: 'BatchResults',
  type: 'object',
  required: ['results'],
  additionalProperties: false,
  properties: {
    results: {
      description: 'One an operation, in their order.',
      type: 'array',
      items: {
        type: 'object',
        required: ['status'],
        additionalProperties: false,
        properties: {
          status: { type: 'integer', description: 'What the single call would have answered.' },
          etag: TAG,
          type: ENTRY.properties.type,
          expires: ENTRY.properties.expires,
          ...VALUE,
          problem: { $ref: '#/components/schemas/Problem' },
        },
      },
    },
  },
};

const ABOUT = { etag: TAG.example, type: 'text/plain; charset=utf-8', expires: null };

export function DescribeBatch(): MethodDecorator {
  const ops = [
    { op: 'check', key: 'example/lock', ifNoneMatch: '*' },
    { op: 'put', key: 'example/note', value: 'Any text' },
    { op: 'get', key: 'example/note' },
    { op: 'incr', key: 'example/visits', by: 1 },
    { op: 'touch', key: 'example/visits', ttl: '1h' },
    { op: 'delete', key: 'example/old' },
  ];
  const results = [
    { status: 204 },
    { status: 201, ...ABOUT },
    { status: 200, ...ABOUT, value: 'Any text' },
    { status: 201, ...ABOUT, value: '1' },
    { status: 200, ...ABOUT, expires: '2030-01-31T13:00:00.000Z' },
    { status: 204 },
  ];
  return applyDecorators(
    ApiTags('Batches'),
    ApiOperation({
      requestBody: { required: true, content: { 'application/json': { schema: BATCH, example: { ops } } } },
    }),
    jsonAnswer(200, 'What each operation came to.', RESULTS, { results }),
    describeOperation({
      id: 'batch',
      once: true,
      summary: 'Does many operations',
      description:
        'In order, each seeing the effects of those before. If atomic, the first that fails undoes all: the answer is ' +
        'its problem, with its `index`. Of members with the same name the last counts.',
      errors: [
        ...WRITE_ERRORS,
        'invalid-parameter',
        'invalid-key',
        'invalid-type',
        'invalid-json',
        'invalid-condition',
        'invalid-batch',
        'missing-key',
        'precondition-failed',
        'value-too-large',
        'body-too-large',
        'unsupported-type',
        'not-an-integer',
        'integer-overflow',
        'cross-slot',
      ],
    }),
  );
}
