import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { run } from '../../support/built.js';
import { builtCli } from '../../support/cli.js';
import { stored, valueOf } from '../../support/kv.js';
import { requireProgram } from '../../support/requires.js';
import { startServer, type ServerProcess } from '../../support/server.js';

const script = requireProgram('script');
script.describe('on a terminal', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServer({ DATABASE_URL: 'memory:' });
  });
  afterAll(() => server.end());

  /** Runs a command in a pseudo-terminal, and returns what it shows. */
  async function shown(args: string, typed = ''): Promise<{ code: number | null; text: string }> {
    const command = `${process.execPath} ${builtCli()} ${args}`;
    const typing = `(sleep 1; printf '${typed}') | `;
    const line = `${typed && typing}script -qec "${command}" /dev/null`;
    const { status, stdout } = await run(['sh', '-c', line], {
      PIGEONHOLE_URL: `http://127.0.0.1:${server.port}`,
    });
    return { code: status, text: stdout.replaceAll('\r', '') };
  }

  test('text has a new line after it, and what is not text is refused without --force', async () => {
    await stored(server.port, 'text', 'Ada');
    await stored(server.port, 'escape', '\u001b[2Jx');
    expect(await shown('get text')).toEqual({ code: 0, text: 'Ada\n' });
    expect(await shown('get escape')).toMatchObject({ code: 1, text: expect.stringContaining('--force') });
    expect((await shown('get --force escape')).text).toBe('\u001b[2Jx');
  });

  test('people see tables, and no control character of a key', async () => {
    await stored(server.port, 'odd\u001bkey', 'x');
    expect((await shown('ls -l')).text).toMatch(/^KEY +SIZE +TYPE +ETAG +EXPIRES\n/);
    expect((await shown('ls')).text).not.toContain('\u001b');
    expect((await shown('info odd\u001bkey')).text).toMatch(/^key +odd\\u001bkey\n/);
  });

  test('stats are the figures, and a line for each of the newest changes', async () => {
    await stored(server.port, 'changed', 'x');
    const { code, text } = await shown('stats');
    expect({ code, text }).toEqual({ code: 0, text: expect.stringMatching(/^store\.entries +\d+$/m) });
    expect(text).not.toMatch(/\.\d{7}/);
    expect(text).toMatch(/\n\nTIME +KIND +KEY +SIZE +BY\n\S+ +put +changed +1 +-\n/);
  });

  test('health says each thing once, and a list is words', async () => {
    const { code, text } = await shown('health');
    expect(code).toBe(0);
    expect(text).toMatch(
      /^status +ok\nserver\.status +up\ndatabase\.status +up\ndatabase\.notes\.0 +The [^\n]+\n$/,
    );
    expect((await shown('token show self')).text).toMatch(/^can +read,write,monitor,admin$/m);
  });

  test('del --prefix asks, if there is something to delete', async () => {
    await stored(server.port, 'some/a', 'x');
    const no = await shown('del --prefix some/', 'n\\n');
    expect(no).toMatchObject({ code: 1, text: expect.stringMatching(/Delete 1 entry of http.*\[y\/N\]/) });
    expect((await shown('del --prefix some/', 'y\\n')).text).toContain('Deleted 1 entry.');
    expect(await valueOf(server.port, 'some/a')).toBeUndefined();
    expect(await shown('del --prefix some/')).toEqual({ code: 0, text: 'Deleted 0 entries.\n' });
  });
});
