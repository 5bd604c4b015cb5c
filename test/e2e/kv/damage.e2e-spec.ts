import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DataFile } from '../../support/data-file.js';
import { EventStream, toldOf } from '../../support/events.js';
import { ask, type Answer } from '../../support/http.js';
import { batch, expectProblem, NDJSON, pageOf, pathOf, stored, valueOf } from '../../support/kv.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const LENIENT = { Accept: NDJSON['Content-Type'], Prefer: 'handling=lenient' };

let server: ServerProcess;
let folder: string;

beforeAll(async () => {
  folder = temporaryFolder();
  server = await startServer({ DATABASE_URL: `lmdb:${folder}` });
});

afterAll(() => server.end());

/** Stores a, b and c under `prefix` and damages the value of b on the disk. */
async function damaged(prefix: string): Promise<string> {
  for (const name of ['a', 'b', 'c']) await stored(server.port, prefix + name, `value of ${name}`);
  const file = new DataFile(join(folder, 'data.mdb'));
  const key = `${prefix}b`;
  const leaf = file.pagesOf('entries').find(({ isBranch, keys }) => !isBranch && keys.includes(key))!;
  const node = leaf.nodes.find((each) => file.keyOf(each) === key)!;
  // Behind the header of the node, the key and the header of the record.
  file.flip(node + 8 + Buffer.byteLength(key) + 20);
  return key;
}

function lastLine({ text }: Answer): Record<string, unknown> {
  return JSON.parse(text.trimEnd().split('\n').at(-1)!) as Record<string, unknown>;
}

describe('a value that the disk has damaged', () => {
  test('is corrupt, while its neighbours are read and written', async () => {
    const key = await damaged('read/');
    const problem = expectProblem(await ask(server.port, pathOf(key)), 500, 'corrupt');
    expect(problem['keys']).toEqual([key]);
    expect((await ask(server.port, `/get?key=${encodeURIComponent(key)}`)).status).toBe(500);
    expect(await valueOf(server.port, 'read/a')).toBe('value of a');
    await stored(server.port, 'read/a', 'new');
    expect(await valueOf(server.port, 'read/a')).toBe('new');
    await stored(server.port, key, 'mended');
    expect(await valueOf(server.port, key)).toBe('mended');
  });

  test('is left out of a page, which names it', async () => {
    const key = await damaged('page/');
    for (const values of ['', '&values=true']) {
      const page = await pageOf(server.port, `?prefix=page/${values}`);
      expect(page.items.map((item) => item.key)).toEqual(['page/a', 'page/c']);
      expect(page).toMatchObject({ damaged: [key], next: null });
    }
    expect(await pageOf(server.port, '?prefix=page/a')).not.toHaveProperty('damaged');
  });

  test('is the outcome of its own operation of a batch', async () => {
    const key = await damaged('batch/');
    const ops = [
      { op: 'put', key: 'batch/a', value: '1' },
      { op: 'incr', key },
      { op: 'get', key: 'batch/a' },
    ];
    const { status, text } = await batch(server.port, ops, false);
    expect(status).toBe(200);
    expect(JSON.parse(text)).toMatchObject({
      results: [{ status: 200 }, { status: 500, problem: { code: 'corrupt', keys: [key] } }, { value: '1' }],
    });
    const problem = expectProblem(await batch(server.port, ops), 500, 'corrupt');
    expect(problem).toMatchObject({ index: 1, keys: [key] });
  });

  test('breaks an export off, unless the client prefers a part', async () => {
    const key = await damaged('export/');
    const strict = ask(server.port, '/kv?prefix=export/', { headers: { Accept: LENIENT.Accept } });
    expect(
      await strict.then(
        ({ status }) => status,
        () => 'broken off',
      ),
    ).not.toBe(200);
    const lenient = await ask(server.port, '/kv?prefix=export/', { headers: LENIENT });
    expect(lenient.status).toBe(200);
    expect(lenient.headers['preference-applied']).toBe('handling=lenient');
    const closing = lastLine(lenient);
    const lines = lenient.text.slice(0, lenient.text.trimEnd().lastIndexOf('\n') + 1);
    const sha256 = createHash('sha256').update(lines).digest('hex');
    expect(closing).toEqual({ end: true, count: 2, sha256, damaged: [key] });
    const imported = await ask(server.port, '/kv', { method: 'POST', headers: NDJSON, body: lenient.text });
    expect(JSON.parse(imported.text)).toMatchObject({ updated: 2, errorCount: 0, end: true });
    const whole = await ask(server.port, '/kv?prefix=export/a', { headers: LENIENT });
    expect(lastLine(whole)).not.toHaveProperty('damaged');
  });

  test('is left out of what a watcher gets first', async () => {
    const key = await damaged('watch/');
    for (const [path, told] of [
      ['/kv?prefix=watch/', ['watch/a', 'watch/c']],
      [pathOf(key), []],
    ] as const) {
      const stream = await EventStream.live(server.port, path);
      const puts = stream.events.filter(({ event }) => event === 'put');
      expect(puts.map((event) => toldOf(event).key)).toEqual(told);
      stream.close();
    }
  });

  test('is deleted with its prefix', async () => {
    await damaged('delete/');
    const { text } = await ask(server.port, '/kv?prefix=delete/', { method: 'DELETE' });
    expect(JSON.parse(text)).toEqual({ deleted: 3 });
    expect(await pageOf(server.port, '?prefix=delete/')).toEqual({ items: [], prefixes: [], next: null });
  });

  test('is named once in the log, however often it is read', async () => {
    const key = await damaged('log/');
    for (let i = 0; i < 3; i++) {
      await ask(server.port, pathOf(key));
      await pageOf(server.port, '?prefix=log/');
    }
    const lines = server.output().stderr.split('\n');
    expect(lines.filter((line) => line.includes(key))).toHaveLength(1);
  });
});
