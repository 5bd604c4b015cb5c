import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { OutgoingHttpHeaders } from 'node:http';
import net from 'node:net';
import { ask } from '../../../support/http.js';
import { expectProblem, freshKey, pathOf, put, valueOf, type Description } from '../../../support/kv.js';
import { exchange, lines } from '../../../support/raw-http.js';
import type { Target } from '../../../support/target.js';
import { describeOn, ENGINES } from '../../../support/ways.js';

const MAX_VALUE_BYTES = 5000;
const TEXT = 'text/plain; charset=utf-8';
const BYTES = 'application/octet-stream';
const NOT_TEXT = Buffer.from([0xff, 0xfe, 0x00]);
const FORM = 'application/x-www-form-urlencoded';

describeOn(ENGINES)('a value, $name', ({ start }) => {
  let target: Target;
  beforeAll(async () => {
    target = await start({ MAX_VALUE_BYTES: String(MAX_VALUE_BYTES) });
  });
  afterAll(() => target.close());

  async function typeOf(body: string | Buffer, headers: OutgoingHttpHeaders): Promise<string> {
    const key = freshKey();
    const answer = await put(target.port, key, body, headers);
    expect(answer.status).toBe(201);
    const get = await ask(target.port, pathOf(key));
    expect(get.headers['content-type']).toBe((JSON.parse(answer.text) as Description).type);
    expect(get.bytes.equals(Buffer.from(body))).toBe(true);
    return get.headers['content-type']!;
  }

  test.each<[string, string | Buffer, string | undefined, string]>([
    ['text without a type', 'é', undefined, TEXT],
    ['bytes without a type', NOT_TEXT, undefined, BYTES],
    ['what curl -d sends', 'a=b', FORM, TEXT],
    ['what curl -d sends of bytes', NOT_TEXT, `${FORM}; charset=x`, BYTES],
    ['a type', 'x', 'application/x-thing', 'application/x-thing'],
    ['a type of text that the bytes are not', NOT_TEXT, TEXT, TEXT],
    ['parameters and case', 'x', 'Text/Plain;Charset="UTF-8"; a=b', 'Text/Plain;Charset="UTF-8"; a=b'],
    ['a quoted quote', 'x', 'text/plain; a="b\\"c"', 'text/plain; a="b\\"c"'],
    ['markup', '<script>1</script>', 'text/html', 'text/html'],
    ['a picture with script', '<svg/>', 'image/svg+xml', 'image/svg+xml'],
    ['JSON of another name', '{', 'application/problem+json', 'application/problem+json'],
    ['255 characters', 'x', `a/${'b'.repeat(253)}`, `a/${'b'.repeat(253)}`],
  ])('has the type it came with: %s', async (_name, body, type, stored) => {
    expect(await typeOf(body, type === undefined ? {} : { 'Content-Type': type })).toBe(stored);
  });

  test.each<[string, string, number, string]>([
    ['none', ' ', 400, 'invalid-type'],
    ['no subtype', 'text', 400, 'invalid-type'],
    ['an empty subtype', 'text/', 400, 'invalid-type'],
    ['any', '*/*', 400, 'invalid-type'],
    ['any text', 'text/*', 400, 'invalid-type'],
    ['any of a list', '*/*, text/html', 400, 'invalid-type'],
    ['two', 'text/plain, text/html', 400, 'invalid-type'],
    ['a quote that stays open', 'text/plain; a="b', 400, 'invalid-type'],
    ['a quote that only a quoted one ends', 'text/plain; a="b\\"', 400, 'invalid-type'],
    ['latin1', 'text/plén', 400, 'invalid-type'],
    ['a hard space', 'text/plain;\u00a0a=b', 400, 'invalid-type'],
    ['256 characters', `a/${'b'.repeat(254)}`, 400, 'invalid-type'],
    ['10 kB', `text/plain; a=${'b'.repeat(10_000)}`, 400, 'invalid-type'],
    ['empty parameters without end', `a/b${'; '.repeat(125)}/`, 400, 'invalid-type'],
    ['tabs without end', `a/b;${'\t'.repeat(240)}/`, 400, 'invalid-type'],
    ['multipart', 'multipart/form-data; boundary=x', 415, 'unsupported-type'],
    ['multipart in capitals', 'MULTIPART/Mixed', 415, 'unsupported-type'],
    ['UTF-7', 'text/html; charset=utf-7', 415, 'unsupported-type'],
    ['quoted UTF-7', 'text/html;Charset="UTF-7"', 415, 'unsupported-type'],
  ])('is refused with a type of %s', async (_name, type, status, code) => {
    const key = freshKey();
    expectProblem(await put(target.port, key, 'v', { 'Content-Type': type }), status, code);
    expect(await valueOf(target.port, key)).toBeUndefined();
  });

  test('is refused with two types, whichever is first, and so is every other body', async () => {
    const key = freshKey();
    const types = { 'Content-Type': ['text/plain', 'image/png'] };
    const requests: [string, string][] = [
      ['PUT', pathOf(key)],
      ['PATCH', pathOf(key)],
      ['POST', '/kv'],
      ['POST', '/batch'],
    ];
    for (const [method, path] of requests) {
      const answer = await ask(target.port, path, { method, body: '{}', headers: types });
      expectProblem(answer, 400, 'invalid-type');
    }
    expect(await valueOf(target.port, key)).toBeUndefined();
  });

  test.each(['gzip', 'br', 'zstd', 'foo', 'identity, gzip', 'GZIP'])(
    'is refused with Content-Encoding: %s, whatever the method',
    async (encoding) => {
      for (const method of ['PUT', 'PATCH', 'DELETE', 'GET']) {
        const headers = { 'Content-Encoding': encoding, 'Content-Type': 'text/plain' };
        const answer = await ask(target.port, '/kv/encoded', { method, headers });
        expectProblem(answer, 415, 'unsupported-encoding');
        expect(answer.headers['accept-encoding']).toBe('identity');
      }
    },
  );

  test('may name the encoding that is none', async () => {
    expect(await typeOf('v', { 'Content-Encoding': 'identity' })).toBe(TEXT);
  });

  test('is never a part of one', async () => {
    const answer = await put(target.port, 'part', 'v', { 'Content-Range': 'bytes 0-0/10' });
    expectProblem(answer, 400, 'malformed-request');
    expect(await valueOf(target.port, 'part')).toBeUndefined();
  });

  test.each([
    '{"a": 1, "a": 2}',
    ' [1,2 , 3]\r\n',
    '12345678901234567890.123456789e400',
    'null',
    '"\\ud800"',
    '"\u2028"',
    '{"\\u0010binary-data\\u0002":{"0":1}}',
    '{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}}}',
    '['.repeat(128) + ']'.repeat(128),
    `{"a":"${'['.repeat(200)}\\""}`,
  ])('of JSON is kept as its own bytes: %s', async (json) => {
    expect(await typeOf(json, { 'Content-Type': 'application/json' })).toBe('application/json');
    expect(await typeOf(json, { 'Content-Type': 'Application/JSON; charset=utf-8' })).toBe(
      'Application/JSON; charset=utf-8',
    );
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  test.each<string | Buffer>([
    '',
    ' ',
    '{',
    "{'a':1}",
    '{"a":1,}',
    '[1] 2',
    'NaN',
    'Infinity',
    '01',
    '1.',
    '+1',
    '// c\n1',
    '"\t"',
    '"\\x41"',
    '\ufeff{}',
    'undefined',
    '['.repeat(129) + ']'.repeat(129),
    '[{"a":'.repeat(65) + '1' + '}]'.repeat(65),
    Buffer.from([0x22, 0xff, 0x22]),
    Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]),
  ])('that claims to be JSON and is not is refused: %s', async (body) => {
    const key = freshKey();
    const answer = await put(target.port, key, body, { 'Content-Type': 'application/json' });
    expectProblem(answer, 400, 'invalid-json');
    expect(await valueOf(target.port, key)).toBeUndefined();
  });

  test('of the largest size is taken, one byte more is 413 naming limit and setting', async () => {
    const largest = 'x'.repeat(MAX_VALUE_BYTES);
    const chunked = { 'Transfer-Encoding': 'chunked' };
    for (const headers of [{}, chunked]) {
      const key = freshKey();
      expect((await put(target.port, key, largest, headers)).status).toBe(201);
      const answer = await put(target.port, key, `${largest}x`, headers);
      const problem = expectProblem(answer, 413, 'value-too-large');
      expect(problem).toMatchObject({ limit: MAX_VALUE_BYTES, setting: 'MAX_VALUE_BYTES' });
      expect(await valueOf(target.port, key)).toBe(largest);
    }
  });

  test('that is announced as too large is refused before it is read, or asked for', async () => {
    for (const expectation of [[], ['Expect: 100-continue']]) {
      const head = ['PUT /kv/announced HTTP/1.1', 'Host: localhost', 'Content-Length: 5001', ...expectation];
      const { answers, closed, rest } = await exchange(target.port, lines(...head));
      expect(answers.map(({ status }) => status)).toEqual([413]);
      expect({ closed, rest }).toEqual({ closed: true, rest: '' });
    }
  });

  test('is asked for once with Expect: 100-continue', async () => {
    const head = ['PUT /kv/asked HTTP/1.1', 'Host: localhost', 'Content-Length: 2', 'Connection: close'];
    const socket = net.connect(target.port, '127.0.0.1');
    socket.write(`${lines(...head, 'Expect: 100-continue')}ok`);
    let seen = '';
    for await (const chunk of socket) seen += String(chunk);
    expect(seen.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 100', 'HTTP/1.1 201']);
  });

  test('that never ends is cut off at the limit', async () => {
    const { answers, closed } = await exchange(
      target.port,
      lines('PUT /kv/endless HTTP/1.1', 'Host: localhost', 'Transfer-Encoding: chunked'),
      { endless: `400\r\n${'x'.repeat(0x400)}\r\n` },
    );
    expect(answers[0]?.status).toBe(413);
    expect(closed).toBe(true);
    expect(await valueOf(target.port, 'endless')).toBeUndefined();
  });

  test.each(['5\r\nhello\r\nnonsense\r\n', '5\r\nhelloworld\r\n', 'g\r\n'])(
    'in chunks that are none is 400, and not stored: %j',
    async (chunks) => {
      const head = ['PUT /kv/chunks HTTP/1.1', 'Host: localhost', 'Transfer-Encoding: chunked'];
      const { answers, closed } = await exchange(target.port, lines(...head) + chunks);
      expect(answers).toMatchObject([
        { status: 400, headers: { 'content-type': 'application/problem+json' } },
      ]);
      expect(closed).toBe(true);
      expect(await valueOf(target.port, 'chunks')).toBeUndefined();
    },
  );

  test('that breaks off is not stored', async () => {
    const head = lines('PUT /kv/broken HTTP/1.1', 'Host: localhost', 'Content-Length: 100');
    const socket = net.connect(target.port, '127.0.0.1', () => socket.end(`${head}half`));
    await new Promise((resolve) => socket.resume().on('close', resolve).on('error', resolve));
    expect(await valueOf(target.port, 'broken')).toBeUndefined();
  });
});

describeOn(ENGINES)('a large value, $name', ({ start }) => {
  test('of 16 MiB comes back byte for byte', async () => {
    const target = await start();
    const value = Buffer.alloc(16 * 2 ** 20, Buffer.from(Array.from({ length: 257 }, (_, i) => i % 256)));
    expect((await put(target.port, 'big', value)).status).toBe(201);
    expect((await ask(target.port, '/kv/big')).bytes.equals(value)).toBe(true);
    await target.close();
  });
});
