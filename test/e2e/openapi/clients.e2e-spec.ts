import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { copyFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../support/built.js';
import { ask } from '../../support/http.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { ADMIN, bearer } from '../../support/tokens.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/* Clients that generators make of the document: they compile, and every operation does what it says. */

const ROOT = join(import.meta.dirname, '..', '..', '..');
const PROGRAMS = join(import.meta.dirname, 'clients');
const BIN = join(ROOT, 'node_modules', '.bin');

const TSCONFIG = {
  compilerOptions: {
    target: 'ES2023',
    lib: ['ES2023', 'DOM', 'DOM.Iterable'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: true,
    outDir: 'out',
    rootDir: '.',
  },
  include: ['*.ts', 'client'],
};

/** A generator: the program that uses what it makes of `openapi.json`, and its command line. */
const GENERATORS: Record<string, readonly string[]> = {
  'openapi-fetch': ['openapi-typescript', 'openapi.json', '-o', 'schema.ts'],
  'hey-api': ['openapi-ts', '-i', 'openapi.json', '-o', 'client', '--silent'],
};

let server: ServerProcess;
let document: string;
beforeAll(async () => {
  server = await startServer({ ADMIN_TOKEN: ADMIN });
  document = (await ask(server.port, '/openapi.json')).text;
});
afterAll(() => server.end());
beforeEach(() => ask(server.port, '/kv?prefix=&confirm=all', { method: 'DELETE', headers: bearer(ADMIN) }));

async function succeed(command: readonly string[], cwd: string): Promise<string> {
  const { status, stdout, stderr } = await run(command, { HOME: cwd }, cwd);
  if (status !== 0) throw new Error(`${command.join(' ')}: ${status}\n${stdout}\n${stderr}`);
  return stdout;
}

/** Generates the client, compiles its program in strict mode, and runs it: status and data of each operation by its id. */
async function answersOf(name: string): Promise<Record<string, [status: number, data?: unknown]>> {
  const folder = temporaryFolder();
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  writeFileSync(join(folder, 'openapi.json'), document);
  copyFileSync(join(PROGRAMS, `${name}.ts`), join(folder, 'program.ts'));
  const [generator, ...args] = GENERATORS[name]!;
  await succeed([join(BIN, generator!), ...args], folder);
  await succeed([join(BIN, 'tsc'), '-p', '.'], folder);
  const program = join(folder, 'out', 'program.js');
  return JSON.parse(
    await succeed([process.execPath, program, `http://127.0.0.1:${server.port}`, ADMIN], folder),
  );
}

describe.each(Object.keys(GENERATORS))('the client of %s', (name) => {
  test('compiles in strict mode, and each operation is answered as it should be', async () => {
    const answers = await answersOf(name);
    const ids = [...document.matchAll(/"operationId":"([^"]+)"/g)].map(([, id]) => id!);
    expect(Object.keys(answers).toSorted()).toEqual(ids.toSorted());

    const statuses = Object.fromEntries(Object.entries(answers).map(([id, [status]]) => [id, status]));
    const options = ids.filter((id) => id.startsWith('options')).map((id) => [id, 204]);
    expect(statuses).toEqual({
      ...Object.fromEntries(ids.map((id) => [id, 200])),
      ...Object.fromEntries(options),
      setPair: 201,
      headPair: 405,
      putEntry: 201,
      deleteEntry: 204,
      putEntryByQuery: 201,
      restoreEntries: 200,
      createToken: 201,
      deleteToken: 204,
    });
    const data = (id: string) => answers[id]![1];
    expect(data('getKey')).toEqual({ 'some key': 'a&b' });
    expect(data('getAll')).toEqual({ 'some key': 'a&b' });
    expect(data('getEntry')).toEqual({ name: 'Ada' });
    expect(data('patchEntry')).toEqual({ name: 'Ada', city: 'London' });
    expect(data('importEntries')).toMatchObject({ created: 2, errorCount: 0 });
    expect(data('listEntries')).toEqual(['example/1=one', 'example/2=two']);
    expect(data('batch')).toEqual([204, 201, 201, '{"three":3}', '1', 204]);
    expect(data('createToken')).toBe('example/');
    expect(data('describeSelf')).toEqual(['read', 'write', 'monitor', 'admin']);
    expect([data('getMetrics'), data('getStats'), data('getBackup')]).toEqual([true, 2, true]);
    expect(data('deleteEntries')).toEqual({ deleted: 4 });
    expect((await ask(server.port, '/kv?key=..', { headers: bearer(ADMIN) })).text).toBe('any text');
  });
});
