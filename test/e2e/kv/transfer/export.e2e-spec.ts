import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { ask, type Answer } from '../../../support/http.js';
import { expectProblem, NDJSON, pathOf, stored } from '../../../support/kv.js';
import { shortOrLong } from '../../../support/long-run.js';
import type { Target } from '../../../support/target.js';
import { CLUSTERS, describeOn, ENGINES } from '../../../support/ways.js';

const ACCEPT = { Accept: 'application/x-ndjson' };
const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
/** More than is read or written at once; in long runs the most that a value may have. */
const LARGE = shortOrLong(3, 16) * 2 ** 20;
const NEVER = '2099-12-31T23:59:59.123Z';

function sha256(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}

function linesOf({ text }: Answer): { key?: string; [member: string]: unknown }[] {
  expect(text.endsWith('\n')).toBe(true);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as { key?: string });
}

describeOn([...ENGINES, ...CLUSTERS])('an export, $name', ({ start }) => {
  let target: Target;
  let copy: Target;
  const values = new Map<string, [string | Buffer, string]>([
    ['text', ['é\u2028\n"\\', 'text/plain; charset=utf-8']],
    ['json', ['{ "n": 12345678901234567890 }', 'application/json']],
    ['empty', ['', 'application/octet-stream']],
    ['bytes', [EVERY_BYTE, 'application/octet-stream']],
    ['not/utf8', [Buffer.from([0xc3, 0x28]), 'text/plain']],
    ['bom', ['\ufeffx', 'text/plain']],
    ['nul\0key', ['v', 'text/html']],
    ['🐦', ['last', 'image/svg+xml']],
    ['__proto__', ['p', 'text/plain']],
    ['large/text', ['x'.repeat(LARGE), 'text/plain']],
    ['large/bytes', [Buffer.alloc(LARGE, EVERY_BYTE), 'image/png']],
  ]);
  beforeAll(async () => {
    [target, copy] = await Promise.all([start(), start()]);
    for (const [key, [value, type]] of values)
      await stored(target.port, key, value, { 'Content-Type': type });
    await ask(target.port, '/kv/expires?ttl=2h', { method: 'PUT', body: 'v' });
    const line = `${JSON.stringify({ key: 'expires/at', value: 'v', expires: NEVER })}\n`;
    await ask(target.port, '/kv', { method: 'POST', body: line, headers: NDJSON });
  });
  afterAll(() => Promise.all([target.close(), copy.close()]));

  test('is one entry a line, in key order, and a closing line over all of them', async () => {
    const answer = await ask(target.port, '/kv', { headers: ACCEPT });
    expect(answer.headers).toMatchObject({
      'content-type': 'application/x-ndjson',
      vary: 'Accept',
      'cache-control': 'no-cache',
      'transfer-encoding': 'chunked',
    });
    const lines = linesOf(answer);
    const closing = lines.pop()!;
    const keys = lines.map(({ key }) => key!);
    const byBytes = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(keys).toEqual(byBytes);
    expect(new Set(keys)).toEqual(new Set([...values.keys(), 'expires', 'expires/at']));
    for (const line of lines) {
      const { key, type, expires, value, base64, ...more } = line;
      expect(more).toEqual({});
      expect((value === undefined) !== (base64 === undefined)).toBe(true);
      const bytes =
        base64 === undefined ? Buffer.from(value as string) : Buffer.from(base64 as string, 'base64');
      const [original, given] = values.get(key!) ?? ['v', 'text/plain; charset=utf-8'];
      expect(type).toBe(given);
      expect(bytes.equals(Buffer.from(original))).toBe(true);
      if (!key!.startsWith('expires')) expect(expires).toBeNull();
    }
    const before = answer.bytes.subarray(0, answer.bytes.lastIndexOf('\n', -2) + 1);
    expect(closing).toEqual({ end: true, count: lines.length, sha256: sha256(before) });
  });

  test('imported elsewhere makes the same database', async () => {
    const exported = await ask(target.port, '/kv', { headers: ACCEPT });
    const count = values.size + 2;
    const imported = await ask(copy.port, '/kv', { method: 'POST', body: exported.bytes, headers: NDJSON });
    expect(JSON.parse(imported.text)).toEqual({
      created: count,
      updated: 0,
      skipped: 0,
      errors: [],
      errorCount: 0,
      end: true,
    });
    const again = await ask(copy.port, '/kv', { headers: ACCEPT });
    expect(sha256(again.bytes)).toBe(sha256(exported.bytes));
    for (const key of [...values.keys(), 'expires', 'expires/at']) {
      const [one, other] = [await ask(target.port, pathOf(key)), await ask(copy.port, pathOf(key))];
      expect(one.bytes.equals(other.bytes)).toBe(true);
      for (const header of ['content-type', 'kv-expires'])
        expect(other.headers[header]).toBe(one.headers[header]);
    }
    expect((await ask(copy.port, pathOf('expires/at'))).headers['kv-expires']).toBe(NEVER);
  });

  test('of a prefix has its keys only, also none', async () => {
    const some = linesOf(await ask(target.port, '/kv?prefix=expires', { headers: ACCEPT }));
    expect(some.map(({ key }) => key)).toEqual(['expires', 'expires/at', undefined]);
    const none = linesOf(await ask(target.port, '/kv?prefix=none', { headers: ACCEPT }));
    expect(none).toEqual([{ end: true, count: 0, sha256: sha256('') }]);
  });

  test.each([
    'application/x-ndjson',
    'application/ndjson',
    'application/jsonl',
    'application/x-jsonlines',
    'application/x-ndjson, application/json;q=0.9, */*;q=0.1',
    'application/json;q=0.2, application/x-ndjson;q=0.3, */*',
    'text/html, Application/X-NDJSON;q=0.9',
    'application/json;q=0, application/x-ndjson ; q=0.001',
  ])('is what Accept: %s asks for', async (accept) => {
    const answer = await ask(target.port, '/kv?prefix=none', { headers: { Accept: accept } });
    expect(answer.headers['content-type']).toBe('application/x-ndjson');
  });

  test.each([
    'application/json',
    '*/*',
    'application/*',
    'application/x-ndjson, application/json',
    'application/x-ndjson;q=0.9, application/json',
    'application/x-ndjson;q=0.9, */*',
    'text/html',
    'application/x-ndjson-seq',
    'application/x-ndjson;q=0',
    'application/x-ndjson; Q=0.000, */*',
    'application/ndjson;x=1;q=0',
  ])('is not what Accept: %s asks for', async (accept) => {
    const answer = await ask(target.port, '/kv?prefix=none', { headers: { Accept: accept } });
    expect(answer.headers['content-type']).toBe('application/json');
  });

  test.each([
    ['handling=lenient', true],
    ['respond-async, Handling = "lenient"', true],
    ['handling=lenient;x=1', true],
    ['handling=strict', false],
    ['handling=strict, handling=lenient', false],
    ['x="handling=lenient"', false],
    ['x="a, handling=lenient"', false],
    ['x; handling=lenient', false],
  ])('with Prefer: %s leaves damage out, and says so: %s', async (prefer, lenient) => {
    const answer = await ask(target.port, '/kv?prefix=none', { headers: { ...ACCEPT, Prefer: prefer } });
    expect(answer.headers['preference-applied']).toBe(lenient ? 'handling=lenient' : undefined);
  });

  test.each(['limit=5', 'after=a', 'reverse=true', 'values=true', 'x=1'])('takes no %s', async (query) => {
    const answer = await ask(target.port, `/kv?${query}`, { headers: ACCEPT });
    expectProblem(answer, 400, 'invalid-parameter');
  });

  test('that was cut off cannot be taken for a whole one', async () => {
    const { text } = await ask(target.port, '/kv?prefix=expires', { headers: ACCEPT });
    const lines = text.split('\n');
    const importing = (body: string) =>
      ask(copy.port, '/kv?dry-run=true', { method: 'POST', body, headers: NDJSON });
    for (const cut of [lines[0]!.length + 1, text.lastIndexOf('\n', text.length - 2) + 1]) {
      const answer = await importing(text.slice(0, cut));
      expect(JSON.parse(answer.text)).toMatchObject({ end: false, errorCount: 0 });
    }
    for (const cut of [1, 20, lines[0]!.length - 1, text.length - 3])
      expectProblem(await importing(text.slice(0, cut)), 400, 'truncated');
    for (const changed of [
      text.replace('"v"', '"w"'),
      `${lines[0]}\n${lines[2]}\n`,
      text.replace(/\n/, '\r\n'),
    ])
      expectProblem(await importing(changed), 400, 'truncated');
  });
});
