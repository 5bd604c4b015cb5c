import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { crc32 } from 'node:zlib';
import { ask, type Answer, type Question } from '../../support/http.js';
import { expectProblem } from '../../support/kv.js';
import type { Target } from '../../support/target.js';
import { describeOn, ENGINES } from '../../support/ways.js';
import { ADMIN, basic, bearer, issue, type Token } from '../../support/tokens.js';

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ALL = ['read', 'write', 'monitor', 'admin'];

describeOn(ENGINES)('tokens, $name', ({ start }) => {
  let target: Target;
  let port: number;
  beforeAll(async () => {
    target = await start({ ADMIN_TOKEN: ADMIN });
    ({ port } = target);
  });
  afterAll(() => target.close());

  const as = (token: string, path: string, question: Question = {}): Promise<Answer> =>
    ask(port, path, { ...question, headers: { ...bearer(token), ...question.headers } });
  const create = (by: string, request: object) =>
    as(by, '/tokens', { method: 'POST', body: JSON.stringify(request) });

  test('a token has its public id and a check in it, and is shown once', async () => {
    const answer = await create(ADMIN, { can: ['read'], note: 'ci' });
    expect(answer.status).toBe(201);
    expect(answer.headers['cache-control']).toBe('no-store');
    const { token, ...described } = JSON.parse(answer.text) as Token;
    expect(answer.headers.location).toBe(`/tokens/${described.id}`);
    const [, start, id, check] = /^(pgh_([0-9A-Za-z]{12})_[0-9A-Za-z]{22})([0-9A-Za-z]{6})$/.exec(token)!;
    expect(id).toBe(described.id);
    const value = check!.split('').reduce((sum, digit) => sum * 62 + DIGITS.indexOf(digit), 0);
    expect(value).toBe(crc32(start!));
    const found = await as(ADMIN, `/tokens/${id}`);
    expect(JSON.parse(found.text)).toEqual(described);
    expect((await as(ADMIN, '/tokens')).text).not.toContain(token.slice(17));
  });

  test('it does what it has the right to, and nothing else', async () => {
    const reader = (await issue(port, { can: ['read'] })).token;
    const writer = (await issue(port, { can: ['write'] })).token;
    expect((await as(writer, '/set?shared=1')).status).toBe(201);
    expect((await as(reader, '/get?key=shared')).text).toBe('{"shared":"1"}');
    const refusal = await as(reader, '/set?shared=2');
    expect(refusal.status).toBe(403);
    expect(JSON.parse(refusal.text)).toEqual({
      title: 'Right Missing',
      detail: 'The token has not the right `write`, only `read`.',
    });
    expectProblem(await as(writer, '/kv/shared'), 403, 'forbidden');
    expectProblem(await as(reader, '/tokens'), 403, 'forbidden');
    const operations = (ops: object[]) => ({ method: 'POST', body: JSON.stringify({ ops }) });
    const [get, put] = [
      { op: 'get', key: 'shared' },
      { op: 'put', key: 'shared', value: '3' },
    ];
    expect((await as(reader, '/batch', operations([get]))).status).toBe(200);
    expectProblem(await as(reader, '/batch', operations([get, put])), 403, 'forbidden');
    expectProblem(await as(writer, '/batch', operations([put, get])), 403, 'forbidden');
    const check = { op: 'check', key: 'shared', ifMatch: '*' };
    for (const token of [reader, writer])
      expect((await as(token, '/batch', operations([check]))).status).toBe(200);
    const { token: monitor } = await issue(port, { can: ['monitor'] });
    expectProblem(await as(monitor, '/batch', operations([check])), 403, 'forbidden');
    expect((await as(reader, '/get?key=shared')).text).toBe('{"shared":"1"}');
    await as(ADMIN, '/kv/shared', { method: 'DELETE' });
  });

  test.each(['/tokens#', '/tokens#a', '/tokens#?limit=1'])(
    'rights hold for every spelling: %s',
    async (path) => {
      const { token } = await issue(port, { can: ['read', 'write'] });
      expectProblem(await as(token, path), 403, 'forbidden');
      const body = '{"can":["read"]}';
      expectProblem(await as(token, path, { method: 'POST', body }), 403, 'forbidden');
    },
  );

  test('who only writes is not shown what is stored', async () => {
    const { token } = await issue(port, { can: ['write'] });
    const json = { 'Content-Type': 'application/json' };
    await as(token, '/kv/secret', { method: 'PUT', body: '{"pin":1}', headers: json });
    const headers = { 'Content-Type': 'application/merge-patch+json' };
    const answer = await as(token, '/kv/secret', { method: 'PATCH', body: '{}', headers });
    expectProblem(answer, 403, 'forbidden');
    await as(token, '/kv/secret', { method: 'DELETE' });
  });

  test('its namespace is a database of its own, on the original routes too', async () => {
    const { token } = await issue(port, { namespace: 'app1/', can: ['read', 'write'] });
    await as(ADMIN, '/set?neighbour=1');
    expect((await as(token, '/set?x=1')).status).toBe(201);
    expect((await as(token, '/')).text).toBe('{"x":"1"}');
    expect((await as(token, '/get?key=neighbour')).status).toBe(400);
    expect(JSON.parse((await as(token, '/kv')).text)).toMatchObject({ items: [{ key: 'x' }], next: null });
    expect((await as(ADMIN, '/get?key=app1%2Fx')).text).toBe('{"app1/x":"1"}');
    expect(JSON.parse((await as(token, '/kv?confirm=all', { method: 'DELETE' })).text)).toEqual({
      deleted: 1,
    });
    expect((await as(ADMIN, '/')).text).toBe('{"neighbour":"1"}');
    await as(ADMIN, '/kv/neighbour', { method: 'DELETE' });
  });

  test('a path that cannot be that of a token is no URL', async () => {
    for (const path of ['/tokens/', '/tokens/x/y', '/tokens/x/'])
      expectProblem(await as(ADMIN, path), 404, 'route-not-found');
  });

  test('it makes only narrower ones, and sees only those', async () => {
    const parent = await issue(port, { namespace: 'team/', can: ['read', 'admin'], ttl: '1h' });
    const wider = [{ can: ['read', 'write'], ttl: '1m' }, { can: ['read'] }, { can: ['read'], ttl: '2h' }];
    for (const request of wider) expectProblem(await create(parent.token, request), 403, 'forbidden');
    const child = await issue(port, { namespace: 'sub/', can: ['read'], ttl: '30m' }, parent.token);
    expect(child).toMatchObject({ namespace: 'sub/', parent: parent.id });
    expect(JSON.parse((await as(ADMIN, `/tokens/${child.id}`)).text)).toMatchObject({
      namespace: 'team/sub/',
    });
    const other = await issue(port, { namespace: 'team/', can: ['read'] });
    expectProblem(await as(parent.token, `/tokens/${other.id}`), 404, 'unknown-token');
    expectProblem(await as(parent.token, `/tokens/${other.id}`, { method: 'DELETE' }), 404, 'unknown-token');
    expectProblem(
      await as(parent.token, `/tokens/${other.id}/rotate`, { method: 'POST' }),
      404,
      'unknown-token',
    );
    const { items } = JSON.parse((await as(parent.token, '/tokens')).text) as { items: Token[] };
    expect(items.map(({ id }) => id).toSorted()).toEqual([parent.id, child.id].toSorted());
    expect(items.find(({ id }) => id === parent.id)).toMatchObject({ namespace: '', parent: null });
    expect(JSON.parse((await as(child.token, '/tokens/self')).text)).toMatchObject({
      id: child.id,
      namespace: '',
    });
  });

  test('with a token all end that were made with it', async () => {
    const parent = await issue(port, { can: ['read', 'admin'] });
    const child = await issue(port, { can: ['read', 'admin'] }, parent.token);
    const grandchild = await issue(port, { can: ['read'] }, child.token);
    expect((await as(grandchild.token, '/')).status).toBe(200);
    expect((await as(ADMIN, `/tokens/${parent.id}`, { method: 'DELETE' })).status).toBe(204);
    for (const { token, id } of [parent, child, grandchild]) {
      expect((await as(token, '/')).status).toBe(401);
      expectProblem(await as(ADMIN, `/tokens/${id}`), 404, 'unknown-token');
    }
  });

  test('a rotation gives it a new secret; the old one goes on through the grace', async () => {
    const { id, token } = await issue(port, { can: ['read'], note: 'rotated' });
    const rotate = async (body?: string) => {
      const answer = await as(ADMIN, `/tokens/${id}/rotate`, { method: 'POST', ...(body && { body }) });
      expect(answer.status).toBe(200);
      return (JSON.parse(answer.text) as Token).token;
    };
    const second = await rotate('{"grace":"1h"}');
    expect(second.startsWith(`pgh_${id}_`)).toBe(true);
    for (const each of [token, second]) expect((await as(each, '/')).status).toBe(200);
    const third = await rotate();
    for (const each of [token, second]) expect((await as(each, '/')).status).toBe(401);
    expect((await as(third, '/')).status).toBe(200);
  });

  test('whoever has only the old secret gets nothing that outlives it', async () => {
    const admin = await issue(port, { can: ['read', 'admin'] });
    const child = await issue(port, { can: ['read'] }, admin.token);
    const renewed = await as(ADMIN, `/tokens/${admin.id}/rotate`, { method: 'POST', body: '{"grace":"1h"}' });
    for (const id of [admin.id, child.id])
      expectProblem(await as(admin.token, `/tokens/${id}/rotate`, { method: 'POST' }), 403, 'forbidden');
    expectProblem(await create(admin.token, { can: ['read'] }), 403, 'forbidden');
    expect((await create(admin.token, { can: ['read'], ttl: '1m' })).status).toBe(201);
    const { token } = JSON.parse(renewed.text) as Token;
    expect((await as(token, `/tokens/${child.id}/rotate`, { method: 'POST' })).status).toBe(200);
  });

  test('it is no token any more when its time is over', async () => {
    const { token } = await issue(port, { can: ['read'], ttl: '1ms' });
    const answer = await as(token, '/');
    expect(answer.status).toBe(401);
    expect(answer.text).toContain('The token has expired.');
  });

  test('lists are pages by id', async () => {
    const made = await Promise.all(Array.from({ length: 5 }, () => issue(port, { can: ['read'] })));
    const seen: string[] = [];
    let path: string | undefined = '/tokens?limit=2';
    while (path !== undefined) {
      const answer: Answer = await as(ADMIN, path);
      const page = JSON.parse(answer.text) as { items: Token[]; next: string | null };
      seen.push(...page.items.map(({ id }) => id));
      expect(answer.headers.link !== undefined).toBe(page.next !== null);
      path = /^<(.*)>; rel="next"$/.exec(String(answer.headers.link))?.[1];
    }
    expect(seen).toEqual(seen.toSorted());
    expect(seen).toEqual(expect.arrayContaining(made.map(({ id }) => id)));
  });

  test('a token that writes on a condition only cannot overwrite blindly', async () => {
    const { token } = await issue(port, {
      namespace: 'cas/',
      can: ['read', 'write'],
      requireConditions: true,
    });
    const blind: [string, Question][] = [
      ['/kv/a', { method: 'PUT', body: 'x' }],
      ['/kv/a', { method: 'DELETE' }],
      ['/kv/a?incr=1', { method: 'PATCH' }],
      ['/kv/a?ttl=1h', { method: 'PATCH' }],
      ['/kv/a', { method: 'PATCH', body: '{}', headers: { 'Content-Type': 'application/merge-patch+json' } }],
      ['/kv?confirm=all', { method: 'DELETE' }],
      ['/kv', { method: 'POST', body: '{"key":"a","value":"x"}\n' }],
      ['/batch', { method: 'POST', body: '{"ops":[{"op":"put","key":"a","value":"x"}]}' }],
    ];
    for (const [path, question] of blind)
      expectProblem(await as(token, path, question), 428, 'condition-required');
    for (const [path, question] of blind.slice(5, 7)) {
      const counted = path.includes('?') ? `${path}&dry-run=true` : `${path}?dry-run=true`;
      expect((await as(token, counted, question)).status).toBe(200);
    }
    const until = { 'If-Unmodified-Since': 'Fri, 01 Jan 2100 00:00:00 GMT' };
    const dated = await as(token, '/kv/a', { method: 'PUT', body: '1', headers: until });
    expectProblem(dated, 428, 'condition-required');
    expect((await as(token, '/set?a=1')).status).toBe(428);
    const created = await as(token, '/kv/a', { method: 'PUT', body: '1', headers: { 'If-None-Match': '*' } });
    expect(created.status).toBe(201);
    const etag = created.headers.etag!;
    expect((await as(token, '/kv/a?incr=1', { method: 'PATCH', headers: { 'If-Match': etag } })).text).toBe(
      '2',
    );
    expect(
      (await as(token, '/kv?mode=create', { method: 'POST', body: '{"key":"a","value":"x"}\n' })).status,
    ).toBe(200);
    expect((await as(token, '/get?key=a')).text).toBe('{"a":"2"}');
  });

  test.each([
    [{ can: [] }, '`can` must be a list of rights'],
    [{}, '`can` must be a list of rights'],
    [{ can: ['read', 'read'] }, '`can` must be a list of rights'],
    [{ can: ['fly'] }, '`can` must be a list of rights'],
    [{ can: 'read' }, '`can` must be a list of rights'],
    [{ can: ['read'], namespace: 'app1' }, 'A namespace ends with `/`'],
    [{ can: ['read'], namespace: `${'x'.repeat(256)}/` }, 'at most 256 bytes'],
    [{ can: ['read'], namespace: '{a/' }, '`{tag}`'],
    [{ can: ['read'], namespace: 5 }, '`namespace` must be a string'],
    [{ can: ['read'], ttl: '-1' }, '`ttl` must be a duration'],
    [{ can: ['read'], ttl: 'none' }, '`ttl` must be a duration'],
    [{ can: ['read'], note: 'a\nb' }, '`note` must be one line'],
    [{ can: ['read'], limits: { requests: -1 } }, '`limits.requests` must be a whole number'],
    [{ can: ['read'], limits: { reads: 1 } }, 'no member "reads"'],
    [{ can: ['read'], token: 'mine' }, 'no member "token"'],
    [[], 'must be a JSON object'],
  ])('a request that cannot be met is refused with the reason: %j', async (request, detail) => {
    const answer = await create(ADMIN, request);
    expectProblem(answer, 400, 'invalid-parameter');
    expect(answer.text).toContain(JSON.stringify(detail).slice(1, -1));
  });

  test.each(['..', 'a/../b', 'a%2Fb', '\0', '*', 'ü'])(
    'a namespace is text, whatever it says: %j',
    async (name) => {
      const { token } = await issue(port, { namespace: `${name}/`, can: ['read', 'write'] });
      await as(token, '/kv/k', { method: 'PUT', body: 'v' });
      expect((await as(token, '/')).text).toBe('{"k":"v"}');
      const whole = await as(ADMIN, `/kv?key=${encodeURIComponent(`${name}/k`)}`);
      expect(whole.text).toBe('v');
      await as(token, '/kv?confirm=all', { method: 'DELETE' });
    },
  );

  test('the longest keys of a namespace are listed from outside, page by page, and deleted by prefix', async () => {
    const namespace = `${'n'.repeat(255)}/`;
    const { token } = await issue(port, { namespace, can: ['read', 'write'] });
    const keys = ['a', 'b', 'c'].map((end) => 'k'.repeat(1023) + end);
    for (const key of keys)
      expect((await as(token, `/kv/${key}`, { method: 'PUT', body: 'v' })).status).toBe(201);
    const seen: string[] = [];
    let path: string | undefined = '/kv?prefix=nn&limit=1';
    while (path !== undefined) {
      const answer: Answer = await as(ADMIN, path);
      seen.push(...(JSON.parse(answer.text) as { items: { key: string }[] }).items.map(({ key }) => key));
      path = /^<(.*)>; rel="next"$/.exec(String(answer.headers.link))?.[1];
    }
    expect(seen).toEqual(keys.map((key) => namespace + key));
    const deleted = await as(ADMIN, '/kv?prefix=nn', { method: 'DELETE' });
    expect(JSON.parse(deleted.text)).toEqual({ deleted: 3 });
    expect((await as(token, '/')).text).toBe('{}');
  });

  test('who has the whole database and every right sees every token', async () => {
    const chief = await issue(port, { can: ALL });
    const { id } = await issue(port, { can: ['read'] });
    expect((await as(chief.token, `/tokens/${id}`)).status).toBe(200);
    expect((await ask(port, '/tokens/self', { headers: basic(chief.token, 'anybody') })).status).toBe(200);
  });
});
