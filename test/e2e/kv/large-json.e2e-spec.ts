import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ask, type Answer } from '../../support/http.js';
import { expectProblem, JSON_TYPE, MERGE_PATCH, NDJSON, put, stored, valueOf } from '../../support/kv.js';
import { startServer, type ServerProcess } from '../../support/server.js';

/*
 * JSON that takes seconds to build, and the texts that take longest to look through, in each place that takes JSON. Others
 * are served meanwhile.
 */

const MiB = 2 ** 20;
/** Less than building such a text takes, and more than a busy machine does without it. */
const HANG_MS = 5_000;

/** Returns `head`, as many times `unit` as make `bytes` in all, and `tail`. */
function filled(bytes: number, head: string, unit: string, tail: string): Buffer {
  const count = Math.floor((bytes - head.length - tail.length) / Buffer.byteLength(unit));
  const last = unit.endsWith(',') ? -1 : undefined;
  return Buffer.from(head + unit.repeat(count).slice(0, last) + tail);
}

/** What is slow to build, or to look through. */
const UNITS: readonly (readonly [name: string, open: string, unit: string, close: string])[] = [
  ['numbers', '{"x":[', '0.0,', ']}'],
  ['objects', '[', '{},', ']'],
  ['white space', '[1', ' ', ']'],
  ['escapes', '["', '\\u0001', '"]'],
];

describe('JSON of many MiB', () => {
  let server: ServerProcess;
  let most = 0;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(async () => {
    console.log(`others waited at most ${Math.round(most)} ms beside JSON of many MiB`);
    await server.end();
  });

  /** Sends `request` while another client asks for something small again and again. */
  async function beside(request: () => Promise<Answer>): Promise<Answer> {
    let done = false;
    const answer = request().finally(() => (done = true));
    while (!done) {
      const start = performance.now();
      expect((await ask(server.port, '/get?key=absent')).status).toBe(400);
      most = Math.max(most, performance.now() - start);
    }
    expect(most).toBeLessThan(HANG_MS);
    return answer;
  }

  test.each(UNITS)('is stored as it is, while others are served: %s', async (_, open, unit, close) => {
    const body = filled(16 * MiB, open, unit, close);
    expect((await beside(() => put(server.port, 'big', body, JSON_TYPE))).status).toBeLessThan(202);
    expect((await ask(server.port, '/kv/big')).bytes.equals(body)).toBe(true);
    const answer = await put(server.port, 'big', body.subarray(0, -1), JSON_TYPE);
    expectProblem(answer, 400, 'invalid-json');
  });

  test.each(UNITS)('is stored by a batch, compact: %s', async (_, open, unit, close) => {
    const head = `{"ops":[{"op":"put","key":"batched","value": ${open}`;
    const body = filled(16 * MiB, head, unit, `${close}}]}`);
    const answer = await beside(() =>
      ask(server.port, '/batch', { method: 'POST', body, headers: JSON_TYPE }),
    );
    expect(answer.status).toBe(200);
    const value = (await ask(server.port, '/kv/batched')).bytes;
    expect(value.equals(body.subarray(head.length - open.length, -3)) || unit === ' ').toBe(true);
  });

  test('is stored by a batch that has its text', async () => {
    for (const unit of ['{},', '\\u0001']) {
      const text = `[${'1,'.repeat(4 * MiB)}1]`;
      const op = { op: 'put', key: 'batched', value: text, type: 'application/json' };
      const body = JSON.stringify({ ops: [op, { op: 'put', key: 'other', value: '' }] }).replace(
        '""',
        `"${unit.repeat(MiB)}"`,
      );
      const answer = await beside(() => ask(server.port, '/batch', { method: 'POST', body }));
      expect(answer.status).toBe(200);
      expect((await valueOf(server.port, 'batched')) === text).toBe(true);
      expect((await valueOf(server.port, 'other')) === JSON.parse(`"${unit.repeat(MiB)}"`)).toBe(true);
    }
  });

  test('is not edited', async () => {
    const text = filled(16 * MiB, '{"x":[', '0.0,', ']}');
    await put(server.port, 'big', text, JSON_TYPE);
    const patch = () =>
      ask(server.port, '/kv/big', { method: 'PATCH', body: '{"a":1}', headers: MERGE_PATCH });
    for (const answer of await Promise.all([beside(patch), patch(), patch(), patch()]))
      expect(expectProblem(answer, 413, 'value-too-large')).toMatchObject({
        limit: MiB,
        setting: 'MAX_PATCH_BYTES',
      });
  });

  test.each(UNITS)('is edited up to 1 MiB: %s', async (_, open, unit, close) => {
    const text = filled(MiB - 20, `{"v":${open}`, unit, `${close}}`);
    await stored(server.port, 'small', text, JSON_TYPE);
    const body = filled(MiB, `{"w":${open}`, unit, `${close}}`);
    const answer = await beside(() =>
      ask(server.port, '/kv/small', { method: 'PATCH', body, headers: MERGE_PATCH }),
    );
    expect(answer.status).toBe(200);
    expect(answer.bytes.length).toBeGreaterThan(unit === ' ' ? 10 : MiB - 100);
  });

  test('of 80,000 small objects is edited, many at once', async () => {
    const text = (name: string) => {
      const members = Array.from({ length: 80_000 }, (_, i) => `"${name}${i}":{}`);
      return `{${members.join(',')}}`;
    };
    await stored(server.port, 'small', text('a'), JSON_TYPE);
    const patch = () =>
      ask(server.port, '/kv/small', { method: 'PATCH', body: text('a'), headers: MERGE_PATCH });
    const answers = await Promise.all([beside(patch), ...Array.from({ length: 7 }, patch)]);
    for (const answer of answers) expect(answer.status).toBe(200);
    expect((await valueOf(server.port, 'small')) === text('a')).toBe(true);
  });

  test.each(UNITS)('is no value of an import, and is passed over: %s', async (_, open, unit, close) => {
    for (const bytes of unit === '{},' ? [31 * MiB, 95 * MiB] : [31 * MiB]) {
      const line = filled(bytes, `{"key":"a","value":${open}`, unit, `${close}}\n`);
      const body = Buffer.concat([line, Buffer.from('{"key":"after","value":"x"}\n')]);
      const answer = await beside(() => ask(server.port, '/kv', { method: 'POST', body, headers: NDJSON }));
      expect(JSON.parse(answer.text)).toMatchObject({ errors: [{ line: 1 }], errorCount: 1 });
      expect(await valueOf(server.port, 'after')).toBe('x');
    }
  });

  test.each([
    ['text', `"value":"`, 'x', '"'],
    ['escapes', `"value":"`, '\\u0001', '"'],
    ['base64', `"base64":"`, 'AAAA', '"'],
    ['JSON', `"type":"application/json","value":"[`, '{},', ']"'],
  ])('is read from a line as long as its value: %s', async (_, open, unit, close) => {
    const bytes = unit === '\\u0001' ? 31 * MiB : unit === 'AAAA' ? 21 * MiB : 16 * MiB;
    const line = filled(bytes, `{"key":"imported",${open}`, unit, `${close}}\n`);
    const answer = await beside(() =>
      ask(server.port, '/kv', { method: 'POST', body: line, headers: NDJSON }),
    );
    expect(JSON.parse(answer.text)).toMatchObject({ errorCount: 0 });
    const { value, base64 } = JSON.parse(line.toString()) as { value?: string; base64?: string };
    const expected = value === undefined ? Buffer.from(base64!, 'base64') : Buffer.from(value);
    expect((await ask(server.port, '/kv/imported')).bytes.equals(expected)).toBe(true);
  });

  test('of control characters is exported in a line that an import takes', async () => {
    const value = Buffer.alloc(8 * MiB, '\x01');
    await stored(server.port, 'control', value);
    const exported = await ask(server.port, '/kv?prefix=control', {
      headers: { Accept: 'application/x-ndjson' },
    });
    const body = exported.bytes;
    expect(body.length).toBeLessThan(32 * MiB);
    const answer = await ask(server.port, '/kv', { method: 'POST', body, headers: NDJSON });
    expect(JSON.parse(answer.text)).toMatchObject({ updated: 1, end: true });
    expect((await ask(server.port, '/kv/control')).bytes.equals(value)).toBe(true);
  });
});
