import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ask } from '../../support/http.js';
import { batch, expectProblem, JSON_TYPE, pathOf, put, stored, twinOf } from '../../support/kv.js';
import type { Target } from '../../support/target.js';
import { describeOn, ENGINES } from '../../support/ways.js';

describeOn(ENGINES)('who stands before an error is told the way, $name', ({ start }) => {
  let target: Target;
  let etag: string;
  beforeAll(async () => {
    target = await start();
    etag = await stored(target.port, 'a', '1');
    for (const key of ['user/1', 'user/2', 'a b/ü/%/1']) await stored(target.port, key, 'x');
  });
  afterAll(() => target.close());

  test.each(['hello', '', 'a=b', "{'a': 1}", '<p>'])('text sent as JSON: %j', async (text) => {
    for (const type of ['application/json', 'Application/JSON; charset=utf-8']) {
      const answer = await put(target.port, 'text', text, { 'Content-Type': type });
      const { detail } = expectProblem(answer, 400, 'invalid-json');
      expect(detail).toMatch(/^The value is not valid JSON: .*`Content-Type: text\/plain`\.$/);
    }
    const question = { method: 'PUT', body: text, headers: { 'Content-Type': 'text/plain' } };
    expect([200, 201]).toContain((await ask(target.port, '/kv/text', question)).status);
  });

  test('a condition that fails: the answer has the present tag, as a header too', async () => {
    const headers = { 'If-Match': '"x"' };
    for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE']) {
      const path = method === 'PATCH' ? '/kv/a?incr=1' : '/kv/a';
      const answer = await ask(target.port, path, { method, headers });
      expect(answer).toMatchObject({ status: 412, headers: { etag } });
      if (method !== 'HEAD') expect(answer.text).not.toContain('proxy');
    }
    const absent = await put(target.port, 'absent', 'x', { 'If-Match': '*' });
    expect(absent.status).toBe(412);
    expect(absent.headers).not.toHaveProperty('etag');
    const page = await ask(target.port, '/kv?prefix=user/');
    const failed = await ask(target.port, '/kv?prefix=user/', { headers });
    expect(failed).toMatchObject({ status: 412, headers: { etag: page.headers.etag } });
    // The tag of an entry is none of the answer to a batch.
    const refused = await batch(target.port, [{ op: 'delete', key: 'a', ifMatch: 'x' }]);
    expect(`"${String(expectProblem(refused, 412, 'precondition-failed')['etag'])}"`).toBe(etag);
    expect(refused.headers).not.toHaveProperty('etag');
  });

  test('a tag that a proxy has changed is recognised', async () => {
    const tag = etag.slice(1, -1);
    const changed = [`W/${etag}`, `"${tag}-gzip"`, `"${tag}--gzip"`, `"${tag};gzip"`, `W/"${tag}-br"`];
    changed.push(`"other", W/${etag}`, `"${tag}-gzip", "other"`);
    for (const tags of changed) {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        const answer = await ask(target.port, '/kv/a', { method, headers: { 'If-Match': tags } });
        const { detail } = expectProblem(answer, 412, 'precondition-failed');
        expect(detail).toContain(`Send ${etag}, or keep the proxy from compressing.`);
        expect(answer.headers.etag).toBe(etag);
      }
    }
    for (const tags of [`"${tag}-x"`, `"x${tag}-gzip"`, `"${tag}gzip"`, '"other-gzip"', 'W/"other"']) {
      const answer = await put(target.port, 'a', 'x', { 'If-Match': tags });
      expect(expectProblem(answer, 412, 'precondition-failed').detail).not.toContain('proxy');
    }
    const both = { 'If-Match': `W/${etag}, ${etag}`, 'If-None-Match': '*' };
    const answer = await put(target.port, 'a', 'x', both);
    expect(expectProblem(answer, 412, 'precondition-failed').detail).not.toContain('proxy');
  });

  test.each([
    ['user/', '/kv?prefix=user/'],
    ['a b/ü/', '/kv?prefix=a%20b/%C3%BC/'],
    ['a b/ü/%/', '/kv?prefix=a%20b/%C3%BC/%25/'],
  ])('a folder that is no key, %s: where its keys are', async (key, range) => {
    for (const path of [pathOf(key), twinOf(key), `/kv/${encodeURI(key).replaceAll('%2F', '/')}`]) {
      for (const Prefer of ['', 'wait=0']) {
        const answer = await ask(target.port, path, { headers: { Prefer } });
        const { detail } = expectProblem(answer, 404, 'missing-key');
        expect(detail).toBe(
          `The key \`${key}\` is not in the database; \`${range}\` lists the keys that begin with it`,
        );
      }
    }
    const page = JSON.parse((await ask(target.port, range)).text) as { items: object[] };
    expect(page.items.length).toBeGreaterThan(0);
    expect((await ask(target.port, pathOf(key), { method: 'HEAD' })).status).toBe(404);
  });

  test('a key with a slash at its end is a key like any other', async () => {
    await stored(target.port, 'folder/', 'value');
    expect(await ask(target.port, '/kv/folder/')).toMatchObject({ status: 200, text: 'value' });
    for (const key of ['user', 'use', 'nobody/', 'user/1/']) {
      const { detail } = expectProblem(await ask(target.port, pathOf(key)), 404, 'missing-key');
      expect(detail).toBe(`The key \`${key}\` is not in the database`);
    }
  });

  test('a URL that is none has a link to the documentation, and the body it always had', async () => {
    for (const path of ['/nothing', '/problems/nothing', '/docs/nothing', '/SET?a=1']) {
      const answer = await ask(target.port, path);
      expect(answer.status).toBe(404);
      expect(answer.text).toBe('{"title":"Resource not found","detail":"This URL doesn\'t exist!"}');
      expect(answer.headers['link']).toBe('</docs>; rel="help", </console>; rel="help"');
    }
    expect((await ask(target.port, '/kv/absent')).headers).not.toHaveProperty('link');
  });

  test('/ is JSON for browsers, too, and has a link to the console', async () => {
    const browser = { Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await ask(target.port, '/', { method, headers: browser });
      expect([status, headers['content-type']]).toEqual([200, 'application/json']);
      expect(headers['link']).toBe('</console>; rel="alternate"; type="text/html"');
    }
    expect((await ask(target.port, '/get?key=absent')).headers).not.toHaveProperty('link');
  });

  test('/docs/ leads to /docs, wherever a proxy has put it', async () => {
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await ask(target.port, '/docs/', { method });
      expect(status).toBe(308);
      for (const base of ['http://host/docs/', 'http://host/prefix/docs/'])
        expect(new URL(headers.location!, base).href).toBe(base.slice(0, -1));
    }
    const answer = await fetch(`http://127.0.0.1:${target.port}/docs/`);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  });

  test('browsers find an icon', async () => {
    for (const method of ['GET', 'HEAD']) {
      const { status, headers, text } = await ask(target.port, '/favicon.ico', { method });
      expect([status, headers['content-type']]).toEqual([200, 'image/svg+xml']);
      expect(headers['cache-control']).toMatch(/^max-age=/);
      expect(text).toMatch(method === 'GET' ? /^<svg .*<\/svg>$/ : /^$/);
    }
    const post = await ask(target.port, '/favicon.ico', { method: 'POST', headers: JSON_TYPE });
    expect(post).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD, OPTIONS' } });
  });
});
