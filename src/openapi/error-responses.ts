import type { OpenAPIObject } from '@nestjs/swagger';
import { ERROR_CODES, ERRORS, type ErrorCode } from '../errors.js';
import { speaksProblems } from '../http/answer/answer.js';
import { STATUS_OF } from '../http/answer/error-status.js';

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;

/**
 * Where a code can come up: the method and path of the operations, as `get /kv/{key}`. A code that is not here can come
 * up wherever its status does.
 */
const WHERE: Partial<Record<ErrorCode, RegExp>> = {
  'missing-query': /^get \/[gs]et$/,
  'invalid-query': /^get \/[gs]et$/,
  'invalid-parameter': /^get \/$|^(?!options).* \/(kv|batch)/,
  'invalid-key': /^get \/[gs]et$|^(?!options|post).* \/kv|^post \/batch/,
  'invalid-type': /^(put|patch|post)/,
  'invalid-json': /^(put|patch)|^post \/batch/,
  'invalid-condition': /^(?!options).* \/(kv|batch)/,
  'invalid-batch': /^post \/batch/,
  'confirmation-needed': /^delete \/kv$/,
  truncated: /^post \/kv$/,
  'missing-key': /^(get|head) \/(get|kv)|^patch/,
  'route-not-found': / \/problems/,
  'value-too-large': /^(put|patch)|batch|set/,
  'body-too-large': /^post \/batch/,
  'unsupported-type': /^(put|patch|post)/,
  'cross-site': /^(put|patch|post|delete)| \/set$/,
  'service-worker': / \/kv/,
  'not-an-integer': /^patch|batch/,
  'integer-overflow': /^patch|batch/,
  'not-json': /^patch/,
  busy: /^(put|patch|post)|^get \/kv|^(get|head|delete) \/(kv)?$/,
  unavailable: /^(?!options).* \/(get|set|kv|batch|$)/,
  'outcome-unknown': /^(put|patch|post|delete)|^get \/set/,
  'disk-full': /^(put|patch|post)|^get \/set/,
  corrupt: /^(?!options).* \/(get|set|kv|batch|$)/,
};

/** Statuses that operations have whatever they do, where one of their codes can come up. */
const SHARED: Record<number, string> = {
  400: 'What was sent is not a well-formed request.',
  403: "Another site's page, or a prefetch, would write; or a stored value would become a service worker.",
  404: 'There is nothing of this name.',
  408: 'The request did not arrive in time.',
  415: 'The request has a Content-Encoding, or a Content-Type that is not taken here.',
  417: 'The request expects something else than `100-continue`.',
  421: 'The Host header names a host this server does not answer to.',
  431: 'URL and headers are larger than 64 KiB together, or more than 200 headers.',
  500: 'The server failed, or the stored record fails its checksum.',
  503: 'Too busy or shutting down. Nothing was applied; try again.',
  504: 'The storage did not confirm the write; it may or may not have been applied.',
  507: 'The disk is full; nothing was written.',
};

/** Statuses of what is refused before it is a request with a path. */
const BEFORE_THE_PATH = [400, 408, 431];

const TEXT = { schema: { type: 'string' } };
const HEADERS: Record<number, object> = {
  405: { Allow: { description: 'The methods of the path.', required: true, ...TEXT } },
  415: {
    'Accept-Encoding': { description: '`identity`, if it was the Content-Encoding.', ...TEXT },
    'Accept-Patch': { description: 'What PATCH takes, if it was the type of a PATCH.', ...TEXT },
  },
  416: { 'Content-Range': { description: '`bytes */n`: the value has n.', required: true, ...TEXT } },
  503: { 'Retry-After': { description: 'Seconds to wait.', required: true, ...TEXT } },
};

/** Gives an operation the statuses it shares with others, and to all its errors their shape, examples and headers. */
export function addErrors(method: string, path: string, { responses }: Operation): void {
  for (const [status, description] of Object.entries(SHARED)) {
    if (codesOf(`${method} ${path}`, Number(status)).length > 0) responses[status] ??= { description };
  }
  for (const [key, response] of Object.entries(responses)) {
    const status = Number(key);
    if (status < 400 || !response || '$ref' in response) continue;
    if (HEADERS[status]) response.headers = HEADERS[status] as typeof response.headers;
    if (method === 'head') continue;
    const problem = speaksProblems(path);
    const codes = codesOf(`${method} ${path}`, status);
    response.content = problem
      ? { 'application/problem+json': { schema: PROBLEM, examples: examples(codes, problemExample) } }
      : plainContent(codes);
    if (problem && BEFORE_THE_PATH.includes(status)) {
      Object.assign(response.content, plainContent(codes.filter((code) => !WHERE[code])));
    }
  }
}

function codesOf(operation: string, status: number): ErrorCode[] {
  return ERROR_CODES.filter(
    (code) => statusAt(operation, code) === status && (WHERE[code]?.test(operation) ?? true),
  );
}

/** On the original routes a key that is not there is a bad request. */
function statusAt(operation: string, code: ErrorCode): number {
  return code === 'missing-key' && operation.endsWith(' /get') ? 400 : STATUS_OF[code];
}

function plainContent(codes: readonly ErrorCode[]) {
  return { 'application/json': { schema: ERROR, examples: examples(codes, plainExample) } };
}

function examples(codes: readonly ErrorCode[], example: (code: ErrorCode) => object) {
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
    type: { type: 'string', format: 'uri-reference', description: 'The path that explains the code.' },
    code: { type: 'string', enum: ERROR_CODES, description: 'Stable: a program may switch on it.' },
    title: TITLE,
    status: { type: 'integer' },
    detail: DETAIL,
    etag: { type: 'string', description: 'The tag of the entry as it is, if a condition failed.' },
    limit: { type: 'integer', description: 'The limit that was passed.' },
    setting: { type: 'string', description: 'The setting that decides.' },
    index: { type: 'integer', minimum: 0, description: 'The operation of a batch, from 0.' },
    keys: { type: 'array', items: { type: 'string' }, description: 'The keys concerned.' },
  },
};
