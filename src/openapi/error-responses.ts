import type { OpenAPIObject } from '@nestjs/swagger';
import { ERROR_CODES, ERRORS, type ErrorCode } from '../errors.js';
import { speaksProblems } from '../http/answer/answer.js';
import { ORIGINAL_STATUS, STATUS_OF } from '../http/answer/error-status.js';
import {
  COMMON_ERRORS,
  ERRORS_EXTENSION,
  IDEMPOTENCY_KEY,
  TOKEN_ERRORS,
} from '../http/answer/operation.openapi.js';
import { WITHOUT_DATA } from '../http/gate/request-gate.js';

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;
type ResponseHeaders = Extract<NonNullable<Operation['responses'][string]>, { headers?: object }>['headers'];

/** Statuses of what is refused before it is a request with a path. */
const BEFORE_THE_PATH = [400, 408, 431];

const TEXT = { schema: { type: 'string' } };
const HEADERS: Record<number, object> = {
  401: {
    'WWW-Authenticate': {
      description: 'Bearer, and Basic where a browser may ask.',
      required: true,
      ...TEXT,
    },
  },
  405: { Allow: { description: 'The methods of the path.', required: true, ...TEXT } },
  412: { ETag: { description: 'The present tag, if there is an entry.', ...TEXT } },
  415: {
    'Accept-Encoding': { description: '`identity`, if it was the Content-Encoding.', ...TEXT },
    'Accept-Patch': { description: 'What PATCH takes, if it was the type of a PATCH.', ...TEXT },
  },
  416: { 'Content-Range': { description: '`bytes */n`: the value has n.', required: true, ...TEXT } },
  429: {
    'Retry-After': { description: 'Seconds to wait.', required: true, ...TEXT },
    'RateLimit-Policy': { description: 'The limit: its name, `q` in `w` seconds.', required: true, ...TEXT },
    RateLimit: {
      description: 'Its name, what remains (`r`), and for how long (`t`).',
      required: true,
      ...TEXT,
    },
  },
  503: { 'Retry-After': { description: 'Seconds to wait.', required: true, ...TEXT } },
};

/** Turns the codes that an operation lists, and those of every request, into responses with shape, examples and headers. */
export function addErrors(method: string, path: string, operation: Operation): void {
  const { responses } = operation;
  const own = errorsOf(operation);
  delete (operation as Listed)[ERRORS_EXTENSION];
  const isProblem = speaksProblems(path);
  const needsToken = method !== 'options' && !WITHOUT_DATA.test(path);
  const always = needsToken ? [...COMMON_ERRORS, ...TOKEN_ERRORS] : COMMON_ERRORS;
  const codes = ERROR_CODES.filter((code) => own.includes(code) || always.includes(code));
  for (const [status, some] of byStatus(codes, isProblem)) {
    // What an operation says of a status itself is all that it answers with it.
    if (responses[status]) continue;
    const content = isProblem ? problemContent(some) : plainContent(some);
    const early = some.filter((code) => COMMON_ERRORS.includes(code));
    if (isProblem && BEFORE_THE_PATH.includes(status)) Object.assign(content, plainContent(early));
    responses[status] = {
      description: meaningOf(some),
      headers: HEADERS[status] as ResponseHeaders,
      ...(method !== 'head' && { content }),
    };
  }
}

/** The statuses of what a write with an Idempotency-Key comes to and is remembered with. */
const REMEMBERED = /^(?:2..|404|409|412)$/;
const ONCE_HEADERS = {
  'Idempotency-Expires': {
    description: 'Until when the answer is kept, for a request with an Idempotency-Key (RFC 3339).',
    schema: { type: 'string', format: 'date-time' },
  },
  'Idempotency-Replayed': {
    description: '`true` if this is the answer to an earlier request with the same Idempotency-Key.',
    schema: { type: 'string', enum: ['true'] },
  },
} as ResponseHeaders;

/** Adds the headers of answers to requests with an Idempotency-Key, where an operation takes one. */
export function addOnceHeaders({ parameters = [], responses }: Operation): void {
  if (!parameters.some((each) => 'name' in each && each.name === IDEMPOTENCY_KEY)) return;
  for (const [status, response] of Object.entries(responses))
    if (response && !('$ref' in response) && REMEMBERED.test(status))
      response.headers = { ...response.headers, ...ONCE_HEADERS };
}

/** What an operation carries until its errors are responses. */
export interface Listed {
  [ERRORS_EXTENSION]?: readonly ErrorCode[];
}

/** The codes that an operation lists. */
export function errorsOf(operation: Operation): readonly ErrorCode[] {
  return (operation as Listed)[ERRORS_EXTENSION] ?? [];
}

function byStatus(codes: readonly ErrorCode[], isProblem: boolean): Map<number, ErrorCode[]> {
  const groups = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const status = (isProblem ? undefined : ORIGINAL_STATUS[code]) ?? STATUS_OF[code];
    groups.set(status, [...(groups.get(status) ?? []), code]);
  }
  return groups;
}

/** A sentence, or a list of them. */
function meaningOf(codes: readonly ErrorCode[]): string {
  if (codes.length === 1) return ERRORS[codes[0]!][1];
  return codes.map((code) => `- \`${code}\`: ${ERRORS[code][1]}`).join('\n');
}

function problemContent(codes: readonly ErrorCode[]): Content {
  return { 'application/problem+json': { schema: PROBLEM, examples: examples(codes, problemExample) } };
}

function plainContent(codes: readonly ErrorCode[]): Content {
  return { 'application/json': { schema: ERROR, examples: examples(codes, plainExample) } };
}

type Examples = Record<string, { summary: string; value: object }>;
type Content = Record<string, { schema: object; examples: Examples }>;

function examples(codes: readonly ErrorCode[], example: (code: ErrorCode) => object): Examples {
  return Object.fromEntries(codes.map((code) => [code, { summary: ERRORS[code][0], value: example(code) }]));
}

function plainExample(code: ErrorCode): object {
  const [title, detail] = ERRORS[code];
  return { title, detail };
}

function problemExample(code: ErrorCode): object {
  const [title, detail] = ERRORS[code];
  return { type: `/problems/${code}`, code, title, status: STATUS_OF[code], detail };
}

const TITLE = { type: 'string', description: 'The kind of error, a few words.' };
const DETAIL = { type: 'string', description: 'What to do about it, one sentence.' };

const ERROR = {
  title: 'Error',
  description: 'What went wrong.',
  type: 'object',
  required: ['title', 'detail'],
  additionalProperties: false,
  properties: { title: TITLE, detail: DETAIL },
};

const PROBLEM = {
  title: 'Problem',
  description: 'What went wrong (RFC 9457).',
  type: 'object',
  required: ['type', 'code', 'title', 'status', 'detail'],
  properties: {
    type: { type: 'string', format: 'uri-reference', description: 'What explains the code.' },
    code: { type: 'string', enum: ERROR_CODES, description: 'Stable: a program may switch on it.' },
    title: TITLE,
    status: { type: 'integer' },
    detail: DETAIL,
    etag: { type: 'string', description: 'The tag of the entry as it is, if a condition failed.' },
    limit: { type: 'integer', description: 'The limit that was passed.' },
    setting: { type: 'string', description: 'The setting that decides.' },
    right: { type: 'string', description: 'The right that is missing.' },
    policy: { type: 'string', description: 'The name of a limit that counts by the minute.' },
    retryAfter: { type: 'integer', minimum: 1, description: 'Until that limit allows more, seconds.' },
    index: { type: 'integer', minimum: 0, description: 'The operation of a batch, from 0.' },
    keys: { type: 'array', items: { type: 'string' }, description: 'The keys concerned.' },
  },
};
