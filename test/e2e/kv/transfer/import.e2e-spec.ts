import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../../support/eventually.js';
import { ask, type Answer } from '../../../support/http.js';
import { expectProblem, NDJSON, stored, valueOf } from '../../../support/kv.js';
import { anonymousMemory } from '../../../support/memory.js';
import { startServer } from '../../../support/server.js';
import type { Target } from '../../../support/target.js';
import { CLUSTERS, describeOn, ENGINES } from '../../../support/ways.js';

const MAX_VALUE_BYTES = 100_000;
const MiB = 2 ** 20;

interface Report {
  readonly errors: { line: number; detail: string }[];
  readonly [count: string]: unknown;
}

function line(key: string, value = 'v'): string {
  return `${JSON.stringify({ key, value })}\n`;
}

describeOn([...ENGINES, ...CLUSTERS])('an import, $name', ({ start }) => {
  let target: Target;
  beforeAll(async () => {
    target = await start({ MAX_VALUE_BYTES: String(MAX_VALUE_BYTES) });
  });
  beforeEach(() => ask(target.port, '/kv?confirm=all', { method: 'DELETE' }));
  afterAll(() => target.close());

  function post(
    body: string | Buffer,
    query = '',
    headers: Record<string, string> = NDJSON,
  ): Promise<Answer> {
    return ask(target.port, `/kv${query}`, { method: 'POST', body, headers });
  }

  async function imported(body: string | Buffer, query = ''): Promise<Report> {
    const answer = await post(body, query);
    expect(answer.status).toBe(200);
    return JSON.parse(answer.text) as Report;
  }

  async function count(): Promise<number> {
    return Number((await ask(target.port, '/kv', { method: 'HEAD' })).headers['kv-count']);
  }

  test('tells the bad line by its number and takes the others', async () => {
    const lines = Array.from({ length: 1000 }, (_, i) => (i === 499 ? '{"key":\n' : line(`k${i + 1}`)));
    const report = await imported(lines.join(''));
    expect(report).toMatchObject({ created: 999, updated: 0, skipped: 0, errorCount: 1, end: false });
    expect(report.errors).toEqual([{ line: 500, detail: expect.stringMatching(/./) }]);
    expect(await count()).toBe(999);
    expect(await valueOf(target.port, 'k500')).toBeUndefined();
  });

  test('lists 100 errors and counts all of them', async () => {
    const report = await imported('x\n'.repeat(5000) + line('good'));
    expect(report).toMatchObject({ created: 1, errorCount: 5000 });
    expect(report.errors.map((error) => error.line)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  });

  test('counts what it creates, updates and skips, as mode and dry-run say', async () => {
    await stored(target.port, 'old', 'v');
    const past = `${JSON.stringify({ key: 'past', value: 'v', expires: '2001-01-01T00:00:00Z' })}\n`;
    const body = line('old', 'w') + line('new', 'w') + past;
    expect(await imported(body, '?dry-run=true')).toMatchObject({ created: 1, updated: 1, skipped: 1 });
    expect(await imported(body, '?dry-run=true&mode=create')).toMatchObject({ created: 1, skipped: 2 });
    expect([await count(), await valueOf(target.port, 'old')]).toEqual([1, 'v']);
    expect(await imported(body, '?mode=create')).toMatchObject({ created: 1, updated: 0, skipped: 2 });
    expect([await count(), await valueOf(target.port, 'old')]).toEqual([2, 'v']);
    expect(await imported(body, '?mode=upsert')).toMatchObject({ created: 0, updated: 2, skipped: 1 });
    expect([await count(), await valueOf(target.port, 'old')]).toEqual([2, 'w']);
    expect(await imported(line('twice', '1') + line('twice', '2'))).toMatchObject({ created: 1, updated: 1 });
    expect(await valueOf(target.port, 'twice')).toBe('2');
    const dry = await imported(line('three') + line('three'), '?dry-run=true');
    expect(dry).toMatchObject({ created: 2, updated: 0 });
  });

  test('is refused with a condition, which no line could keep', async () => {
    for (const name of ['If-Match', 'If-None-Match', 'If-Unmodified-Since']) {
      const answer = await post(line('k'), '', { ...NDJSON, [name]: '*' });
      expect(expectProblem(answer, 400, 'invalid-condition').detail).toContain('mode=create');
    }
    expect(await count()).toBe(0);
  });

  test('takes CRLF, blank lines, and a last line without its end', async () => {
    const body = `\n${line('a').replace('\n', '\r\n')}\r\n  \t\n${line('b')}${line('c').trimEnd()}`;
    expect(await imported(body)).toMatchObject({ created: 3, errorCount: 0 });
    expect((await imported(`x\n\n${line('d')}y\n`)).errors.map((error) => error.line)).toEqual([1, 4]);
    expect(await imported('')).toMatchObject({ created: 0, errorCount: 0, end: false });
  });

  test('passes over a BOM before the first line, of a whole export too', async () => {
    expect(await imported(`\ufeff${line('a')}`)).toMatchObject({ created: 1, errorCount: 0 });
    const whole = (await ask(target.port, '/kv', { headers: { Accept: 'application/x-ndjson' } })).text;
    expect(await imported(`\ufeff${whole}`)).toMatchObject({ updated: 1, errorCount: 0, end: true });
    // It hides nothing: what the closing line was made of still counts.
    for (const other of [whole.replace('"v"', '"w"'), `${whole.slice(0, whole.indexOf('\n') + 1)}${whole}`])
      expectProblem(await post(`\ufeff${other}`), 400, 'truncated');
    const empty = (await ask(target.port, '/kv?prefix=none', { headers: { Accept: 'application/jsonl' } }))
      .text;
    expect(await imported(`\ufeff${empty}`)).toMatchObject({ created: 0, errorCount: 0, end: true });
    expect(await imported('\ufeff')).toMatchObject({ created: 0, errorCount: 0, end: false });
  });

  test.each<[string, string | Buffer]>([
    ['a BOM after the first line', `\ufeff${line('k')}`],
    ['a number', '5\n'],
    ['a list', '[]\n'],
    ['null', 'null\n'],
    ['no key', '{"value":"v"}\n'],
    ['a number as key', '{"key":12,"value":"v"}\n'],
    ['an empty key', line('')],
    ['a long key', line('k'.repeat(1025))],
    ['half a surrogate pair as key', '{"key":"\\ud800","value":"v"}\n'],
    ['half a surrogate pair as value', '{"key":"k","value":"\\udc00"}\n'],
    ['no value', '{"key":"k"}\n'],
    ['a value that is no string', '{"key":"k","value":{"a":1}}\n'],
    ['value and base64', '{"key":"k","value":"v","base64":"eA=="}\n'],
    ['base64 without padding', '{"key":"k","base64":"eA"}\n'],
    ['base64 with a space', '{"key":"k","base64":"eA= ="}\n'],
    ['base64 of another alphabet', '{"key":"k","base64":"_-8="}\n'],
    ['an unknown member', '{"key":"k","value":"v","ttl":60}\n'],
    ['a time that is none', '{"key":"k","value":"v","expires":"soon"}\n'],
    ['a time without offset', '{"key":"k","value":"v","expires":"2030-01-31T12:00:00"}\n'],
    ['a time that there is not', '{"key":"k","value":"v","expires":"2030-02-31T12:00:00Z"}\n'],
    ['a time as number', '{"key":"k","value":"v","expires":1893456000000}\n'],
    ['a type that is none', '{"key":"k","value":"v","type":"text"}\n'],
    ['a type that breaks headers', '{"key":"k","value":"v","type":"text/plain;\\r\\n a=b"}\n'],
    ['a type that no header can have', '{"key":"k","value":"v","type":"text/plain;\\u2003a=b"}\n'],
    ['a multipart type', '{"key":"k","value":"v","type":"multipart/mixed"}\n'],
    ['JSON that is none', '{"key":"k","value":"{","type":"application/json"}\n'],
    ['bytes that are no UTF-8', Buffer.from('{"key":"k","value":"\xff"}\n', 'latin1')],
    ['a value that is too large', line('k', 'x'.repeat(MAX_VALUE_BYTES + 1))],
    ['a line that is far too long', line('k', 'x'.repeat(MAX_VALUE_BYTES * 7))],
    ['deep JSON', `{"key":${'['.repeat(200)}${']'.repeat(200)}}\n`],
    ['a closing line without a count', '{"end":true}\n'],
  ])('refuses a line with %s, and only that', async (_name, bad) => {
    const body = Buffer.concat([Buffer.from(line('before')), Buffer.from(bad), Buffer.from(line('after'))]);
    const report = await imported(body);
    expect(report).toMatchObject({ created: 2, errorCount: 1 });
    expect(report.errors).toEqual([{ line: 2, detail: expect.stringMatching(/./) }]);
    expect(await count()).toBe(2);
  });

  test('keeps every byte of values of all sizes, whatever shares their memory on the way', async () => {
    const sizes = [0, 1, 3000, 65_535, 65_536, 65_537, 65_536 + 1024, 99_999, MAX_VALUE_BYTES];
    // 17 MB: more than is gathered at once.
    const values = Array.from({ length: 300 }, (_, i) =>
      String.fromCharCode(97 + (i % 26)).repeat(sizes[i % 9]!),
    );
    const keyOf = (i: number): string => `k${(i * 7919) % 300}`;
    expect(await imported(values.map((value, i) => line(keyOf(i), value)).join(''))).toMatchObject({
      created: 300,
      errorCount: 0,
    });
    for (const [i, value] of values.entries())
      expect((await valueOf(target.port, keyOf(i))) === value || keyOf(i)).toBe(true);
  });

  test('takes the items of a page', async () => {
    await stored(target.port, 'a', Buffer.from([0xff]), { 'Content-Type': 'image/png' });
    const page = await ask(target.port, '/kv?values=true');
    const { items } = JSON.parse(page.text) as { items: object[] };
    expect(await imported(items.map((item) => JSON.stringify(item)).join('\n'))).toMatchObject({
      updated: 1,
    });
  });

  test('that ends in the middle of a line is 400 with the counts, and what came before stays', async () => {
    const answer = await post(`${line('a')}bad\n${line('b')}{"key":"c","val`);
    const problem = expectProblem(answer, 400, 'truncated');
    expect(problem).toMatchObject({ created: 2, updated: 0, skipped: 0, errorCount: 1, end: false, line: 4 });
    expect(problem['errors']).toEqual([{ line: 2, detail: expect.stringContaining('not valid JSON') }]);
    expect(await count()).toBe(2);
  });

  test('whose last line has no end is not cut off there if the line is whole JSON', async () => {
    for (const bad of ['{"key":"k","value":5}', '{"key":""}', '[]', '{"end":false}']) {
      const report = await imported(line('a') + bad);
      expect(report.errors).toEqual([{ line: 2, detail: expect.stringMatching(/./) }]);
    }
    const { detail } = expectProblem(await post('{"key":"k","value":"v"'), 400, 'truncated');
    expect(detail).toContain('The import ends in the middle of line 1: The line is not valid JSON');
  });

  test('whose closing line does not fit is 400 with the counts', async () => {
    const closing = `${JSON.stringify({ end: true, count: 1, sha256: '0'.repeat(64) })}\n`;
    const problem = expectProblem(await post(line('a') + closing), 400, 'truncated');
    expect(problem).toMatchObject({ created: 1, end: false, line: 2 });
    expect(await valueOf(target.port, 'a')).toBe('v');
  });

  test('whose closing line fits is whole, even if a line of it was refused', async () => {
    const small = await start();
    const big = 'x'.repeat(MAX_VALUE_BYTES + 1);
    await ask(small.port, '/kv', { method: 'POST', body: line('a') + line('big', big), headers: NDJSON });
    const whole = (await ask(small.port, '/kv', { headers: { Accept: 'application/x-ndjson' } })).text;
    await small.close();
    expect(await imported(whole)).toMatchObject({ created: 1, errorCount: 1, end: true });
    const behind = await imported(whole + line('b'));
    expect(behind).toMatchObject({ updated: 1, errorCount: 2, end: true });
    expect(behind.errors[1]).toMatchObject({ line: 4 });
  });

  test.each(['x-ndjson', 'ndjson', 'jsonl', 'x-jsonlines', 'JSONL; charset=utf-8'])(
    'is of type application/%s, and so is an export',
    async (name) => {
      expect((await post(line('a'), '', { 'Content-Type': `application/${name}` })).status).toBe(200);
      for (const method of ['GET', 'HEAD']) {
        const headers = { Accept: `application/${name}` };
        const exported = await ask(target.port, '/kv', { method, headers });
        expect(exported.headers['content-type']).toBe('application/x-ndjson');
      }
    },
  );

  test.each(['application/json', 'multipart/form-data', 'text/csv', 'x'])(
    'of type %s is 415',
    async (type) => {
      expectProblem(await post(line('a'), '', { 'Content-Type': type }), 415, 'unsupported-type');
      expect(await count()).toBe(0);
    },
  );

  test.each([
    '?mode=replace',
    '?mode=',
    '?dry-run=1',
    '?dryrun=true',
    '?mode=create&mode=create',
    '?prefix=a',
  ])('with %s is 400', async (query) => {
    expectProblem(await post(line('a'), query), 400, 'invalid-parameter');
    expect(await count()).toBe(0);
  });

  test('of one key many times keeps the last, or under create the first', async () => {
    const keys = ['a', 'ab', 'b', 'é', '\u{10000}', '\uffff'];
    const lines = Array.from({ length: 3000 }, (_, i) => line(keys[(i * 7) % keys.length]!, `${i}`));
    expect(await imported(lines.join(''))).toMatchObject({ created: 6, updated: 2994 });
    const last = (key: string) => lines.findLast((each) => JSON.parse(each).key === key)!;
    for (const key of keys) expect(await valueOf(target.port, key)).toBe(JSON.parse(last(key)).value);
    await ask(target.port, '/kv?confirm=all', { method: 'DELETE' });
    expect(await imported(lines.join(''), '?mode=create')).toMatchObject({ created: 6, skipped: 2994 });
    const first = (key: string) => lines.find((each) => JSON.parse(each).key === key)!;
    for (const key of keys) expect(await valueOf(target.port, key)).toBe(JSON.parse(first(key)).value);
  });

  test('whose sender is slow arrives', async () => {
    const answer = await slowly(target.port, async (request) => {
      for (const byte of line('slow')) {
        request.write(byte);
        await sleep(5);
      }
    });
    expect(JSON.parse(answer)).toMatchObject({ created: 1 });
    expect(await valueOf(target.port, 'slow')).toBe('v');
  });

  test('that goes on for hours stores every line as it comes, and not when another follows', async () => {
    const answer = await slowly(target.port, async (request) => {
      for (const key of ['first', 'second', 'third']) {
        request.write(line(key));
        await eventually(async () => (await valueOf(target.port, key)) === 'v', key);
      }
    });
    expect(JSON.parse(answer)).toMatchObject({ created: 3, errors: [] });
  });
});

test('a line without end takes no memory that grows with it', async () => {
  const server = await startServer({ DATABASE_URL: 'memory:', MAX_VALUE_BYTES: String(MiB) });
  const before = anonymousMemory(server.pid);
  let most = 0;
  const answer = await slowly(server.port, async (request) => {
    request.write(line('before'));
    const piece = Buffer.alloc(MiB, 'x');
    for (let sent = 0; sent < 200; sent++) {
      if (!request.write(piece)) await new Promise((resolve) => request.once('drain', resolve));
      most = Math.max(most, anonymousMemory(server.pid));
    }
    request.write(`\n${line('after')}`);
  });
  expect(JSON.parse(answer)).toMatchObject({ created: 2, errors: [{ line: 2 }] });
  console.log(`a line of 200 MiB: memory grew by ${Math.round((most - before) / MiB)} MiB`);
  expect(most - before).toBeLessThan(100 * MiB);
  await server.end();
});

/** Sends the body that `write` writes, and answers what comes back. */
function slowly(port: number, write: (request: http.ClientRequest) => Promise<void>): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      port,
      host: '127.0.0.1',
      path: '/kv',
      method: 'POST',
      headers: NDJSON,
      agent: false as const,
    };
    const request = http.request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (data: string) => (text += data));
      response.on('end', () => resolve(text));
    });
    request.on('error', reject);
    write(request).then(() => request.end(), reject);
  });
}
