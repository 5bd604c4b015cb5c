import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { ask } from '../../support/http.js';
import { Proxy, PROXY_HOST } from '../../support/proxy.js';
import { requireProgram, type Describe } from '../../support/requires.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { shownFor } from './shown.js';

/* What docs/proxies.md says of proxies that are configured otherwise. */

const programs = Object.fromEntries(
  ['nginx', 'haproxy', 'caddy', 'apache2'].map((name) => [name, requireProgram(name)]),
);
const describeWithPrograms: Describe =
  Object.values(programs).find(({ describe: own }) => own !== describe)?.describe ?? describe;

const TEXT = 'Any text. '.repeat(1000);

describeWithPrograms('otherwise configured', () => {
  let server: ServerProcess;
  let proxy: Proxy | undefined;
  beforeAll(async () => {
    server = await startServer({ DATABASE_URL: 'memory:', ALLOWED_HOSTS: PROXY_HOST });
  });
  afterEach(async () => {
    await proxy?.end();
    await ask(server.port, '/kv?prefix=&confirm=all', { method: 'DELETE' });
  });
  afterAll(() => server.end());

  /** Starts a proxy with parts of its configuration replaced. */
  async function start(name: string, ...changes: [part: string, by: string][]): Promise<Proxy> {
    let configuration = shownFor(name);
    for (const [part, by] of changes) {
      expect(configuration).toContain(part);
      configuration = configuration.replace(part, by);
    }
    proxy = await Proxy.start(name, programs[name]!.path, configuration, server.port);
    return proxy;
  }

  const keys = async () => Object.keys(JSON.parse((await ask(server.port, '/')).text) as object);

  test('nginx with a slash in proxy_pass stores a/../b as b', async () => {
    const nginx = await start('nginx', [':4000;', ':4000/;']);
    await nginx.ask('/kv/a%2F..%2Fb', { method: 'PUT', body: 'x' });
    expect(await keys()).toEqual(['b']);
  });

  test('nginx takes 1 MiB by default', async () => {
    const nginx = await start('nginx', ['client_max_body_size 0;', '']);
    const body = Buffer.alloc(1024 * 1024 + 1);
    expect((await nginx.ask('/kv/a', { method: 'PUT', body })).status).toBe(413);
  });

  test('Apache with ProxyPass in a Location, without nocanon, merges slashes and escapes twice', async () => {
    const place = '<Location />\nProxyPass http://127.0.0.1:4000/\n</Location>';
    const line = /ProxyPass .*/.exec(shownFor('apache2'))![0];
    const apache = await start('apache2', ['MergeSlashes Off', ''], [line, place]);
    for (const path of ['/kv/a//b', '/kv/c%2Fd']) await apache.ask(path, { method: 'PUT', body: 'x' });
    expect(await keys()).toEqual(['a/b', 'c%2Fd']);
  });

  test('Apache refuses %2F by default', async () => {
    const apache = await start('apache2', ['AllowEncodedSlashes NoDecode', '']);
    expect((await apache.ask('/kv/a%2Fb', { method: 'PUT', body: 'x' })).status).toBe(404);
  });

  test.each([
    ['nginx', 'proxy_set_header Host $http_host;'],
    ['apache2', 'ProxyPreserveHost On'],
  ])('%s hides the name by default, so that no page may write', async (name, line) => {
    const hiding = await start(name, [line, '']);
    const headers = { Origin: `https://${PROXY_HOST}`, 'Sec-Fetch-Site': 'same-origin' };
    expect((await hiding.ask('/kv/a', { method: 'PUT', headers, body: 'x' })).status).toBe(403);
  });

  type Change = [part: string, by: string];
  const NGINX: Change = ['merge_slashes off;', 'merge_slashes off; gzip on; gzip_types text/plain;'];
  const HAPROXY: Change = [
    '    server ',
    '    compression algo gzip\n    compression type text/plain\n    server ',
  ];
  const CADDY: Change = ['\treverse_proxy', '\tencode gzip\n\treverse_proxy'];
  const APACHE: Change = ['SSLEngine on', 'SSLEngine on\nSetOutputFilter DEFLATE'];
  const UNCHANGED: Change = ['SSLEngine on', 'SSLEngine on\nDeflateAlterETag NoChange'];

  test.each<[string, string, number, number, Change[]]>([
    ['nginx', 'W/"TAG"', 304, 412, [NGINX]],
    ['haproxy', 'W/"TAG"', 304, 412, [HAPROXY]],
    ['caddy', '"TAG"', 304, 200, [CADDY]],
    ['apache2', '"TAG-gzip"', 200, 412, [APACHE]],
    ['apache2', '"TAG"', 304, 200, [APACHE, UNCHANGED]],
  ])('%s that compresses makes %s of a tag: a read with it is %i, a write %i', async (...row) => {
    const [name, shown, read, write, changes] = row;
    const compressing = await start(name, ...changes);
    const put = await compressing.ask('/kv/a', { method: 'PUT', body: TEXT });
    const { etag } = JSON.parse(put.text) as { etag: string };
    const gzip = { 'Accept-Encoding': 'gzip' };
    const { headers } = await compressing.ask('/kv/a', { headers: gzip });
    expect(headers).toMatchObject({ 'content-encoding': 'gzip', etag: shown.replace('TAG', etag) });

    const known = { ...gzip, 'If-None-Match': headers.etag };
    expect((await compressing.ask('/kv/a', { headers: known })).status).toBe(read);
    const writeIf = (tag: string) =>
      compressing.ask('/kv/a', { method: 'PUT', headers: { 'If-Match': tag }, body: TEXT });
    expect((await writeIf(headers.etag!)).status).toBe(write);
    const plain = await compressing.ask('/kv/a', { headers: { 'Accept-Encoding': 'identity' } });
    expect((await writeIf(plain.headers.etag!)).status).toBe(200);
  });
});
