import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ask } from '../../support/http.js';
import { put, stored, valueOf } from '../../support/kv.js';
import { startInProcess, type Target } from '../../support/target.js';

const PUBLIC = 'https://example.com/pigeon';

interface Document {
  readonly servers: { url: string }[];
}

describe.each([
  ['without PUBLIC_URL', '', {}],
  ['with one that ends with a slash', PUBLIC, { PUBLIC_URL: `${PUBLIC}/` }],
  ['with one that ends without', PUBLIC, { PUBLIC_URL: PUBLIC }],
  ['with a host alone', 'http://[::1]:8080', { PUBLIC_URL: 'http://[::1]:8080/' }],
] as [string, string, Record<string, string>][])('a server %s', (_name, base, settings) => {
  let target: Target;
  beforeAll(async () => {
    target = await startInProcess(settings);
  });
  afterAll(() => target.close());

  test('writes Location of a new entry and a new counter with it', async () => {
    expect((await put(target.port, 'a/b', 'x')).headers.location).toBe(`${base}/kv/a%2Fb`);
    expect((await put(target.port, '..', 'x')).headers.location).toBe(`${base}/kv?key=..`);
    const counted = await ask(target.port, '/kv/n?incr=1', { method: 'PATCH' });
    expect(counted.headers.location).toBe(`${base}/kv/n`);
  });

  test('writes Link of a page with it, and what a proxy makes of that is the next page', async () => {
    for (const key of ['l/1', 'l/2', 'l/3']) await stored(target.port, key, 'x');
    const { headers } = await ask(target.port, '/kv?prefix=l/&to=l/3&limit=1');
    const link = /^<(.*)>; rel="next"$/.exec(String(headers.link))![1]!;
    expect(link.startsWith(`${base}/kv?`)).toBe(true);
    const page = JSON.parse((await ask(target.port, link.slice(base.length))).text);
    expect(page).toMatchObject({ items: [{ key: 'l/2' }], next: null });
  });

  test('has problems whose type leads with it to what they mean, also one of an operation', async () => {
    const single = JSON.parse((await ask(target.port, '/kv/absent')).text);
    const body = '{"atomic":false,"ops":[{"op":"get","key":"absent"}]}';
    const many = JSON.parse((await ask(target.port, '/batch', { method: 'POST', body })).text);
    for (const { type } of [single, many.results[0].problem]) {
      expect(type).toBe(`${base}/problems/missing-key`);
      const row = JSON.parse((await ask(target.port, type.slice(base.length))).text);
      expect(row).toMatchObject({ code: 'missing-key', status: 404 });
    }
  });

  test('says with it where help is, beside the 404 of a path that there is not', async () => {
    const { status, headers } = await ask(target.port, '/nowhere/at/all');
    expect({ status, link: headers.link }).toEqual({
      status: 404,
      link: `<${base}/docs>; rel="help", <${base}/console>; rel="help"`,
    });
  });

  test('says with it where people see what is at /', async () => {
    const { link } = (await ask(target.port, '/')).headers;
    expect(link).toBe(`<${base}/console>; rel="alternate"; type="text/html"`);
  });

  test('names it as the server of the OpenAPI document', async () => {
    const document = JSON.parse((await ask(target.port, '/openapi.json')).text) as Document;
    expect(document.servers).toEqual([{ url: base || '/' }]);
  });

  test('has pages of relative addresses only', async () => {
    const { text } = await ask(target.port, '/docs');
    const addresses = [...text.matchAll(/(?:href|src|url)(?:=|: )["']([^"']*)["']/g)].map(([, url]) => url!);
    const ours = addresses.filter((url) => !url.startsWith('data:'));
    expect(ours).toContain('openapi.json');
    for (const url of ours) {
      expect(url).not.toMatch(/^(?:\/|[a-z]+:)/);
      expect((await ask(target.port, new URL(url, 'http://x/docs').pathname)).status).toBe(200);
    }
  });
});

test('the host of PUBLIC_URL is one by which clients may reach the server', async () => {
  const target = await startInProcess({ PUBLIC_URL: `${PUBLIC}/` });
  await put(target.port, 'k', 'x');
  expect(await valueOf(target.port, 'k')).toBe('x');
  const status = async (host: string) =>
    (await ask(target.port, '/kv/k', { headers: { Host: host } })).status;
  expect(await status('example.com')).toBe(200);
  expect(await status('example.com:443')).toBe(200);
  expect(await status('other.example.com')).toBe(421);
  await target.close();
});
