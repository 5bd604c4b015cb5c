import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ERROR_CODES, ERRORS } from '../../../src/errors.js';
import { STATUS_OF } from '../../../src/http/answer/error-status.js';
import { ask, type Question } from '../../support/http.js';
import { expectProblem, JSON_TYPE, MERGE_PATCH, NDJSON, stored } from '../../support/kv.js';
import { startInProcess, type Target } from '../../support/target.js';

const SETTINGS = { MAX_VALUE_BYTES: '100' };

/** One request for each error that a request alone can bring about. */
const PROVOKED: [string, string, Question][] = [
  ['invalid-parameter', '/kv/a?x=1', {}],
  ['invalid-key', '/kv/', {}],
  ['invalid-type', '/kv/a', { method: 'PUT', body: 'x', headers: { 'Content-Type': 'x' } }],
  ['invalid-json', '/kv/a', { method: 'PUT', body: '{', headers: JSON_TYPE }],
  ['invalid-condition', '/kv/a', { headers: { 'If-Match': 'x' } }],
  ['invalid-batch', '/batch', { method: 'POST', body: '[]', headers: JSON_TYPE }],
  ['confirmation-needed', '/kv', { method: 'DELETE' }],
  ['truncated', '/kv', { method: 'POST', body: '{"key":', headers: NDJSON }],
  ['missing-key', '/kv/absent', {}],
  ['method-not-allowed', '/kv/a', { method: 'POST' }],
  ['malformed-request', '/kv/a', { method: 'PUT', headers: { 'Content-Range': 'bytes 0-1/2' } }],
  [
    'headers-too-large',
    '/kv/a',
    { headers: Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`h${i}`, '1'])) },
  ],
  ['expectation-failed', '/kv/a', { headers: { Expect: 'foo' }, agent: false }],
  ['value-too-large', '/kv/a', { method: 'PUT', body: 'x'.repeat(101) }],
  [
    'body-too-large',
    '/batch',
    { method: 'POST', body: `{"ops":[${'{},'.repeat(1000)}{}]}`, headers: JSON_TYPE },
  ],
  ['unsupported-type', '/kv/a', { method: 'PATCH', body: '{}', headers: JSON_TYPE }],
  ['unsupported-encoding', '/kv/a', { headers: { 'Content-Encoding': 'gzip' } }],
  ['range-not-satisfiable', '/kv/a', { headers: { Range: 'bytes=99-' } }],
  ['cross-site', '/kv/a', { method: 'PUT', body: 'x', headers: { 'Sec-Fetch-Site': 'cross-site' } }],
  ['service-worker', '/kv/a', { headers: { 'Service-Worker': 'script' } }],
  ['misdirected-host', '/kv/a', { headers: { Host: 'evil.example' } }],
  ['precondition-failed', '/kv/a', { method: 'PUT', body: 'x', headers: { 'If-None-Match': '*' } }],
  ['not-an-integer', '/kv/a?incr=1', { method: 'PATCH' }],
  ['integer-overflow', '/kv/n?incr=9223372036854775807', { method: 'PATCH' }],
  ['not-json', '/kv/a', { method: 'PATCH', body: '{}', headers: MERGE_PATCH }],
];

const post = (body: string): Question => ({ method: 'POST', body, headers: JSON_TYPE });
const put = (body: string, headers = {}): Question => ({ method: 'PUT', body, headers });

/** What went wrong and what to do about it, as the person reads it who sent the request. */
const DETAILS: [string, Question, string][] = [
  ['/kv/a?tll=60', put('x'), 'The request has no parameter "tll". It takes `ttl`, `expires` and `from`.'],
  ['/kv/a?x=1', {}, 'The request has no parameter "x". It takes `watch`, `history` and `at`.'],
  ['/kv?mode=', post(''), '`mode` is empty. It takes `mode` and `dry-run`.'],
  ['/kv?key=a&prefix=b', {}, '`key` names one entry and `prefix` a range. It takes one `key`.'],
  [
    '/kv',
    put('x'),
    'This path answers GET, HEAD, PATCH, POST, DELETE, OPTIONS, not PUT. Nothing was changed.',
  ],
  ['/kv?%6Bey=', put('x'), '`key` is empty. It takes one `key`.'],
  ['/kv?%6Bey=a&key=b', { method: 'DELETE' }, '`key` is given twice. It takes one `key`.'],
  [
    '/kv/100%',
    {},
    'The key has a malformed escape. Escapes are `%` and two hex digits, of UTF-8 text; a percent sign is `%25`.',
  ],
  ['/kv/', {}, 'A key must have 1 to 1024 bytes of UTF-8; this one has 0.'],
  [
    '/kv/a?ttl=1w',
    put('x'),
    '`ttl` must be seconds, or a whole number with ms, s, m, h or d, from 1ms to 100 years; or none, or keep.',
  ],
  [
    '/kv/a',
    put('x', { 'Content-Type': '*/*' }),
    'A Content-Type must be one media type, such as `image/png`, of at most 255 ASCII characters.',
  ],
  [
    '/kv/a',
    put('ab', JSON_TYPE),
    'The value is not valid JSON: there is no value at position 0. The request says that it is application/json; ' +
      'text is sent with `Content-Type: text/plain`.',
  ],
  ['/kv/a', { method: 'PATCH' }, 'A PATCH needs `incr`, `ttl`, `expires`, or a merge patch as its body.'],
  [
    '/kv/a',
    { headers: { 'If-Match': 'abc' } },
    'If-Match takes `*` or tags in double quotes, as ETag gives them: If-Match: "…".',
  ],
  ['/kv/a', { headers: { Range: 'bytes=9-' } }, 'The range holds none of the 4 bytes of the value.'],
  ['/batch', post('{"op":"get"}'), 'A batch has no member "op", only `ops` and `atomic`.'],
  [
    '/batch',
    post('{"ops":[{"op":"set"}]}'),
    '`op` must be `check`, `get`, `put`, `incr`, `touch` or `delete`.',
  ],
  ['/batch', post('{"ops":[{"op":"put","key":"k"}]}'), 'It needs `value` or `base64`.'],
  [
    '/batch',
    post('{"ops":[{"op":"delete","key":"k","value":"x"}]}'),
    '`delete` has no member "value", only `key`, `ifMatch` and `ifNoneMatch`.',
  ],
];

describe('problems', () => {
  let target: Target;
  beforeAll(async () => {
    target = await startInProcess(SETTINGS);
    await stored(target.port, 'a', 'text');
    await stored(target.port, 'n', '1');
  });
  afterAll(() => target.close());

  test.each(PROVOKED)('%s is a document whose type answers', async (code, path, question) => {
    const answer = await ask(target.port, path, question);
    const problem = expectProblem(answer, STATUS_OF[code as keyof typeof STATUS_OF], code);
    expect(answer.headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    });
    for (const name of ['access-control-allow-origin', 'x-powered-by'])
      expect(answer.headers).not.toHaveProperty(name);
    const { status, text, headers } = await ask(target.port, String(problem['type']));
    expect({ status, type: headers['content-type'] }).toEqual({ status: 200, type: 'application/json' });
    expect(JSON.parse(text)).toMatchObject({ code, title: problem['title'], status: problem['status'] });
  });

  test.each(DETAILS)('%s is told plainly what is wrong: %j %s', async (path, question, detail) => {
    const answer = await ask(target.port, path, question);
    expect(JSON.parse(answer.text)).toMatchObject({ detail });
  });

  test.each([
    ['{"end":false}', 'A closing line must be {"end":true,"count":…,"sha256":"…"}, as an export gives it.'],
    ['{"key":"k"}', 'It needs `value` or `base64`.'],
    ['{"key":"k","value":"v","base64":"dg=="}', 'It takes either `value` or `base64`, not both.'],
    ['{"key":"k","value":5}', '`value` must be a string.'],
    ['{"value":"v"}', '`key` must be a string.'],
    ['[]', 'The line is not a JSON object.'],
  ])('the line %s of an import is told plainly what is wrong', async (line, detail) => {
    const answer = await ask(target.port, '/kv', { method: 'POST', body: `${line}\n`, headers: NDJSON });
    expect(JSON.parse(answer.text)).toMatchObject({ errors: [{ line: 1, detail }] });
  });

  test('every code is explained under /problems, and all of them are listed there', async () => {
    const { text: table } = await ask(target.port, '/problems');
    const { items } = JSON.parse(table) as { items: { code: string }[] };
    expect(items.map(({ code }) => code)).toEqual(ERROR_CODES);
    for (const code of ERROR_CODES) {
      const { status, text } = await ask(target.port, `/problems/${code}`);
      expect(status).toBe(200);
      const [title, meaning] = ERRORS[code];
      expect(JSON.parse(text)).toEqual({ code, title, status: STATUS_OF[code], meaning });
      expect(items).toContainEqual(JSON.parse(text));
    }
  });

  test.each(['nothing', 'constructor', '__proto__', '', 'missing-key/', 'MISSING-KEY', '%FF'])(
    '/problems/%s is no code',
    async (code) => {
      const { status, text } = await ask(target.port, `/problems/${code}`);
      expect(status).toBe(404);
      expect(Object.keys(JSON.parse(text) as object)).toEqual(['title', 'detail']);
    },
  );

  test('/problems/{code} tells its methods and takes no others', async () => {
    const options = await ask(target.port, '/problems/busy', { method: 'OPTIONS' });
    expect(options).toMatchObject({ status: 204, headers: { allow: 'GET, HEAD, OPTIONS' } });
    const post = await ask(target.port, '/problems/busy', { method: 'POST' });
    expect(post).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD, OPTIONS' } });
    const head = await ask(target.port, '/problems/busy', { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, text: '' });
  });

  test('the path alone decides between problems and title with detail', async () => {
    for (const path of ['/kv/a', '/kv', '/batch', '/kv?key=a', '/tokens', '/backup', '/tokens/x']) {
      const answer = await ask(target.port, path, { headers: { Host: 'evil.example' } });
      expectProblem(answer, 421, 'misdirected-host');
    }
    for (const path of ['/', '/get', '/kvx', '/KV/a', '/batches', '/nothing/kv/a', '/problems/x']) {
      const answer = await ask(target.port, path, { headers: { Host: 'evil.example' } });
      expect(answer.headers['content-type']).toBe('application/json');
      expect(Object.keys(JSON.parse(answer.text) as object)).toEqual(['title', 'detail']);
    }
  });
});
