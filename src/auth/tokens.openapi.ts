import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { describeOperation, jsonAnswer } from '../http/answer/operation.openapi.js';
import { RIGHTS } from './rights.js';

/* What the doc comments of TokensController cannot say: the shapes of tokens, with examples. */

const TAG = ApiTags('Tokens');
const TIME = { type: 'string', format: 'date-time' };
const ID = { type: 'string', pattern: '^[0-9A-Za-z]{12}$' };
const COUNT = { type: 'integer', minimum: 0 };

const CAN = { type: 'array', minItems: 1, uniqueItems: true, items: { type: 'string', enum: [...RIGHTS] } };
const NAMESPACE = {
  type: 'string',
  maxLength: 256,
  pattern: '(^|/)$',
  description: 'What its keys begin with in the database of who made it; empty for all of it.',
};
const NOTE = { type: 'string', maxLength: 256, description: 'What it is for: one line.' };
const CONDITIONS = { type: 'boolean', description: 'Whether its writes need If-Match or If-None-Match.' };
const LIMITS = {
  title: 'TokenLimits',
  type: 'object',
  additionalProperties: false,
  properties: {
    requests: { ...COUNT, description: 'Requests a minute.' },
    writes: { ...COUNT, description: 'Requests that may write, a minute.' },
    watchers: { ...COUNT, description: 'Watches at a time.' },
  },
};

const REQUEST = {
  title: 'TokenRequest',
  type: 'object',
  required: ['can'],
  additionalProperties: false,
  properties: {
    namespace: NAMESPACE,
    can: CAN,
    ttl: {
      type: ['string', 'integer', 'null'],
      description:
        'How long it lives: seconds, or a whole number with `ms`, `s`, `m`, `h` or `d`; absent: for ever.',
    },
    note: NOTE,
    requireConditions: CONDITIONS,
    limits: LIMITS,
  },
};

const ABOUT = {
  namespace: NAMESPACE,
  can: CAN,
  note: NOTE,
  created: { ...TIME, type: ['string', 'null'] },
  expires: { ...TIME, type: ['string', 'null'] },
  requireConditions: CONDITIONS,
  limits: LIMITS,
};

const SELF = {
  title: 'TokenSelf',
  description: 'What who asks may do; `id` is null where no token is needed, and `admin` for ADMIN_TOKEN.',
  type: 'object',
  required: ['id', ...Object.keys(ABOUT)],
  additionalProperties: false,
  properties: { id: { type: ['string', 'null'] }, ...ABOUT },
};

const DESCRIBED = {
  id: ID,
  ...ABOUT,
  lastUsed: { ...TIME, type: ['string', 'null'], description: 'To the minute.' },
  parent: { type: ['string', 'null'], description: 'The id of the token it was made with.' },
};

const TOKEN = {
  title: 'Token',
  description: 'A token without its secret.',
  type: 'object',
  required: Object.keys(DESCRIBED),
  additionalProperties: false,
  properties: DESCRIBED,
};

const ISSUED = {
  ...TOKEN,
  title: 'IssuedToken',
  description: 'A token with its text, which is shown this once.',
  required: ['token', ...TOKEN.required],
  properties: { token: { type: 'string', pattern: '^pgh_[0-9A-Za-z]{12}_[0-9A-Za-z]{28}$' }, ...DESCRIBED },
};

const LIST = {
  title: 'TokenPage',
  type: 'object',
  required: ['items', 'next'],
  additionalProperties: false,
  properties: {
    items: { type: 'array', items: TOKEN },
    next: { type: ['string', 'null'], description: 'The `after` of the next page.' },
  },
};

const EXAMPLE_REQUEST = {
  namespace: 'example/',
  can: ['read', 'write'],
  ttl: '30d',
  note: 'an example',
  limits: { requests: 600 },
};
const EXAMPLE = {
  id: '3Fb9yQkT0aZx',
  namespace: EXAMPLE_REQUEST.namespace,
  can: EXAMPLE_REQUEST.can,
  note: EXAMPLE_REQUEST.note,
  created: '2030-01-31T12:00:00.000Z',
  expires: '2030-03-02T12:00:00.000Z',
  requireConditions: false,
  limits: EXAMPLE_REQUEST.limits,
  lastUsed: null,
  parent: null,
};
const EXAMPLE_ISSUED = { token: 'pgh_3Fb9yQkT0aZx_7mN2pQrS5tUvW8xYz1AbCd0aB3Cd', ...EXAMPLE };

const PATH_ID = ApiParam({
  name: 'id',
  description: 'The public id of a token.',
  schema: { ...ID, example: EXAMPLE.id },
});
const SHOWN_ONCE = {
  'Cache-Control': { description: '`no-store`.', required: true, schema: { type: 'string' } },
};
const STORAGE_ERRORS = ['busy', 'unavailable', 'moved', 'corrupt'] as const;
const STORE_ERRORS = [...STORAGE_ERRORS, 'cross-site', 'outcome-unknown', 'disk-full'] as const;
const ERRORS = ['invalid-parameter', 'invalid-condition', 'forbidden'] as const;
const BODY_ERRORS = [
  'invalid-json',
  'invalid-type',
  'invalid-idempotency-key',
  'unsupported-type',
  'body-too-large',
] as const;

export function DescribeCreate(): MethodDecorator {
  const location = { description: 'The path of the new token.', required: true, schema: { type: 'string' } };
  return applyDecorators(
    TAG,
    ApiOperation({
      requestBody: {
        required: true,
        content: { 'application/json': { schema: REQUEST, example: EXAMPLE_REQUEST } },
      },
    }),
    jsonAnswer(201, 'The token.', ISSUED, EXAMPLE_ISSUED, { Location: location, ...SHOWN_ONCE }),
    describeOperation({
      id: 'createToken',
      summary: 'Makes a token',
      description:
        'A narrower one than that of who asks: its namespace begins inside, its rights are among those, and it ends no ' +
        'later. From the first token on every request needs one.',
      errors: [...STORE_ERRORS, ...ERRORS, ...BODY_ERRORS, 'last-admin'],
    }),
  );
}

export function DescribeList(): MethodDecorator {
  return applyDecorators(
    TAG,
    ApiQuery({
      name: 'after',
      required: false,
      description: 'Only ids after this one.',
      schema: { type: 'string' },
    }),
    ApiQuery({
      name: 'limit',
      required: false,
      description: 'Most tokens on the page.',
      schema: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
    }),
    jsonAnswer(200, 'A page of tokens.', LIST, { items: [EXAMPLE], next: null }),
    describeOperation({
      id: 'listTokens',
      summary: 'Lists tokens',
      description: 'That of who asks and those that were made with it, by their ids.',
      errors: [...STORAGE_ERRORS, 'invalid-parameter', 'forbidden'],
    }),
  );
}

export function DescribeSelf(): MethodDecorator {
  const { lastUsed: _, parent: __, ...example } = EXAMPLE;
  return applyDecorators(
    TAG,
    jsonAnswer(200, 'The token that the request came with.', SELF, example),
    describeOperation({
      id: 'describeSelf',
      summary: 'Tells a token what it may do',
      errors: [...STORAGE_ERRORS, 'invalid-parameter', 'invalid-condition'],
    }),
  );
}

export function DescribeGet(): MethodDecorator {
  return applyDecorators(
    TAG,
    PATH_ID,
    jsonAnswer(200, 'The token without its secret.', TOKEN, EXAMPLE),
    describeOperation({
      id: 'getToken',
      summary: 'Describes a token',
      errors: [...STORAGE_ERRORS, ...ERRORS, 'unknown-token'],
    }),
  );
}

export function DescribeRotate(): MethodDecorator {
  const grace = {
    type: ['string', 'integer'],
    description: 'How long the old secret goes on, such as `1h`; absent: it ends at once.',
  };
  const schema = {
    title: 'RotationRequest',
    type: 'object',
    additionalProperties: false,
    properties: { grace },
  };
  return applyDecorators(
    TAG,
    PATH_ID,
    ApiOperation({
      requestBody: {
        required: false,
        content: { 'application/json': { schema, example: { grace: '1h' } } },
      },
    }),
    jsonAnswer(200, 'The token with its new secret.', ISSUED, EXAMPLE_ISSUED, SHOWN_ONCE),
    describeOperation({
      id: 'rotateTokenSecret',
      summary: 'Gives a token a new secret',
      errors: [...STORE_ERRORS, ...ERRORS, ...BODY_ERRORS, 'unknown-token'],
    }),
  );
}

export function DescribeRevoke(): MethodDecorator {
  return applyDecorators(
    TAG,
    PATH_ID,
    ApiResponse({ status: 204, description: 'It has ended.' }),
    describeOperation({
      id: 'deleteToken',
      summary: 'Ends a token',
      description: 'And every token that was made with it. What they have under way ends within a second.',
      errors: [...STORE_ERRORS, ...ERRORS, 'unknown-token', 'last-admin'],
    }),
  );
}
