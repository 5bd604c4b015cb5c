import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  bodyOf,
  Contract,
  exampleCalls,
  type Call,
  type Operation,
  type Parameter,
} from '../../support/contract.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { ADMIN, bearer, issue } from '../../support/tokens.js';

/* The server, held to the document that it gives of itself. */

const EXAMPLE_ID = '3Fb9yQkT0aZx';

let server: ServerProcess;
let contract: Contract;
beforeAll(async () => {
  server = await startServer({ MAX_VALUE_BYTES: '1000', ADMIN_TOKEN: ADMIN });
  contract = await Contract.of(server.port, bearer(ADMIN));
});
afterAll(() => server.end());

const ORDER = ['put', 'post', 'patch', 'get', 'head', 'options', 'delete'];

/** What has to be there is written first and deleted last; `/set` writes. */
function rank({ path, method }: Operation): number {
  return path === '/set' ? -1 : ORDER.indexOf(method);
}

describe('every example of the document', () => {
  test('runs as it stands and is answered as documented', async () => {
    // Only the server makes ids of tokens.
    const { id } = await issue(server.port, { can: ['read'] });
    for (const operation of contract.operations.toSorted((a, b) => rank(a) - rank(b))) {
      const succeeds = Object.keys(operation.responses).some((status) => status < '300');
      for (const call of exampleCalls(operation)) {
        const { status } = await contract.check({ ...call, url: call.url.replace(EXAMPLE_ID, id) });
        expect({ url: call.url, status, succeeds: status < 300 }).toEqual({
          url: call.url,
          status,
          succeeds,
        });
      }
    }
  });
});

/** The example of an operation, changed. */
function example(id: string, change: Partial<Call> = {}, query = ''): Call {
  const operation = contract.operations.find(({ operationId }) => operationId === id)!;
  const call = exampleCalls(operation).at(-1)!;
  return { ...call, ...change, url: call.url + query };
}

describe('an answer that takes a certain state or size is documented', () => {
  const cases: [status: number, operation: string, change: Partial<Call>, query?: string][] = [
    [206, 'getEntry', { headers: { Range: 'bytes=0-1' } }],
    [416, 'getEntry', { headers: { Range: 'bytes=9999-' } }],
    [304, 'getEntry', { headers: { 'If-None-Match': '*' } }],
    [412, 'getEntry', { headers: { 'If-Match': '"x"' } }],
    [304, 'headEntry', { headers: { 'If-None-Match': '*' } }],
    [200, 'listEntries', {}, '&limit=1&count=true&values=true'],
    [304, 'listEntries', { headers: { 'If-None-Match': '*' } }],
    [412, 'putEntry', { headers: { 'If-None-Match': '*' } }],
    [413, 'putEntry', { body: 'x'.repeat(1001) }],
    [413, 'batch', { body: JSON.stringify({ ops: Array(1001).fill({ op: 'get', key: 'x' }) }) }],
    [409, 'batch', { body: '{"ops":[{"op":"incr","key":"example/ada"}]}' }],
    [400, 'batch', { body: '{"ops":[{"op":"get","key":""}]}' }],
    [200, 'batch', { body: '{"atomic":false,"ops":[{"op":"get","key":"example/none"}]}' }],
    [200, 'patchEntry', { body: undefined }, '?ttl=1h'],
    [409, 'patchEntry', { body: undefined }, '?incr=1'],
    [200, 'importEntries', { body: '{"key":"example/late"}\n' }],
    [400, 'importEntries', { body: '{"end":true,"count":1,"sha256":""}\n' }],
  ];
  test.each(cases)('%i %s', async (status, id, change, query = '') => {
    await contract.check(example('putEntry'));
    expect((await contract.check(example(id, change, query))).status).toBe(status);
  });
});

describe('whatever is sent', () => {
  test('is answered with a status, type, body and headers that are documented', async () => {
    const seen = new Set<number>();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...contract.operations).chain(calls),
        async (call) => void seen.add((await contract.check(call)).status),
      ),
      { numRuns: 900, seed: 3, endOnFailure: true },
    );
    // Otherwise the requests are not as varied as they are meant to be.
    for (const status of [200, 201, 204, 400, 403, 404, 405, 412, 415, 417, 421, 431]) {
      expect(seen).toContain(status);
    }
  });
});

const TEXT = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1 }),
  fc.constantFrom('true', '0', '-1', '..', 'none'),
);
const MALFORMED = fc.constantFrom('%zz', '%FF', '%ED%A0%80', '%');
const MOMENT = 'Thu, 01 Jan 1970 00:00:00 GMT';
const CONDITION = fc.constantFrom('*', '"x"', 'W/"x"', 'x', '"', '', MOMENT, 'Fri, 01 Jan 2100 00:00:00 GMT');
const RANGE = fc.constantFrom('bytes=0-1', 'bytes=-3', 'bytes=9-5', 'bytes=9999-', 'bytes=0-1,3-4', 'x');
/** What the guards refuse, whatever the operation. */
const REFUSED = fc.constantFrom<Record<string, string>>(
  { Host: 'evil.example' },
  { Authorization: '' },
  { 'Sec-Fetch-Site': 'cross-site' },
  { 'Service-Worker': 'script' },
  { 'Content-Encoding': 'gzip' },
  { Expect: 'the unexpected' },
  Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`X-${i}`, '1'])),
);
const BODY_TYPES = [
  'application/json',
  'text/plain',
  'application/merge-patch+json',
  'multipart/form-data',
  'what',
];

/** Calls of an operation: each parameter as it should be, or missing, repeated, empty, unknown, of the wrong type. */
function calls(operation: Operation): fc.Arbitrary<Call> {
  const of = (place: Parameter['in']) => operation.parameters.filter((parameter) => parameter.in === place);
  const path = of('path').map((parameter) =>
    encoded(parameter).map((text) => [parameter.name, text] as const),
  );
  // A long-poll would be held, and a stream not end, which is not what is tested here.
  const names = of('header').filter(({ name }) => name !== 'Prefer');
  const queries = of('query').filter(({ name }) => name !== 'watch');
  const headers = names.map(({ name }) =>
    rarely(
      (name === 'Range' ? RANGE : CONDITION).map((value) => ({ [name]: value })),
      {},
    ),
  );
  return fc
    .record({
      path: fc.tuple(...path),
      query: fc.tuple(...queries.map(pairs)),
      unknown: rarely<string>(fc.constant('typo=1'), ''),
      headers: fc.tuple(...headers, rarely(REFUSED, {}), contentOf(operation)),
      body: body(operation),
    })
    .map(({ path: values, query, unknown, headers: parts, body: sent }) => {
      const target = values.reduce(
        (url, [name, text]) => url.replace(`{${name}}`, () => text),
        operation.path,
      );
      const search = [...query, unknown].filter((pair) => pair !== '').join('&');
      return {
        operation,
        url: search ? `${target}?${search}` : target,
        headers: Object.assign({}, ...parts) as Record<string, string>,
        ...sent,
      };
    });
}

function pairs(parameter: Parameter): fc.Arbitrary<string> {
  if (parameter.schema.type === 'object') {
    return fc.oneof(
      fc.constant('somekey=somevalue'),
      encoded(parameter),
      fc.constant('a=1&b=2'),
      fc.constant('=v'),
    );
  }
  const pair = encoded(parameter).map((text) => `${parameter.name}=${text}`);
  const missing = { arbitrary: fc.constant(''), weight: parameter.required ? 1 : 12 };
  return fc.oneof(
    { arbitrary: pair, weight: parameter.required ? 12 : 3 },
    missing,
    { arbitrary: pair.map((one) => `${one}&${one}`), weight: 1 },
    { arbitrary: fc.constant(`${parameter.name}=`), weight: 1 },
  );
}

/** A value in a URL: mostly one that the schema allows. */
function encoded(parameter: Parameter): fc.Arbitrary<string> {
  return fc.oneof(
    { arbitrary: valid(parameter).map(encodeURIComponent), weight: 8 },
    { arbitrary: TEXT.map(encodeURIComponent), weight: 1 },
    { arbitrary: MALFORMED, weight: 1 },
  );
}

function valid(parameter: Parameter): fc.Arbitrary<string> {
  const { enum: choices, type, pattern, example } = contract.schemaOf(parameter);
  if (typeof example === 'string') return fc.constant(example);
  if (choices) return fc.constantFrom(...choices);
  if (type === 'boolean') return fc.constantFrom('true', 'false');
  if (type === 'integer') return fc.integer({ min: 1, max: 1000 }).map(String);
  return pattern === undefined ? TEXT : fc.stringMatching(new RegExp(pattern));
}

function contentOf({ requestBody }: Operation): fc.Arbitrary<Record<string, string>> {
  if (!requestBody) return fc.constant({});
  const documented = Object.keys(requestBody.content).filter((type) => type !== '*/*');
  const one = fc.oneof(
    { arbitrary: fc.constantFrom(...documented), weight: 4 },
    fc.constantFrom(...BODY_TYPES),
  );
  return one.map((type) => ({ 'Content-Type': type }));
}

function body({ requestBody }: Operation): fc.Arbitrary<{ body?: string | Buffer }> {
  if (!requestBody) return fc.constant({});
  const examples = Object.values(requestBody.content).flatMap(({ example }) =>
    example === undefined ? [] : [bodyOf(example)],
  );
  if (examples.length === 0) examples.push('{}');
  const cut = fc
    .constantFrom(...examples)
    .chain((text) => fc.nat(text.length).map((end) => text.slice(0, end)));
  return fc.oneof(
    { arbitrary: fc.constantFrom(...examples).map((text) => ({ body: text })), weight: 4 },
    { arbitrary: cut.map((text) => ({ body: text })), weight: 1 },
    { arbitrary: fc.json().map((text) => ({ body: text })), weight: 1 },
    {
      arbitrary: fc
        .uint8Array({ maxLength: 2000, size: 'max' })
        .map((bytes) => ({ body: Buffer.from(bytes) })),
      weight: 1,
    },
    { arbitrary: fc.constant({}), weight: 3 },
  );
}

function rarely<T>(arbitrary: fc.Arbitrary<T>, otherwise: NoInfer<T>): fc.Arbitrary<T> {
  return fc.oneof({ arbitrary, weight: 1 }, { arbitrary: fc.constant(otherwise), weight: 7 });
}
