import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { ask, type Answer } from '../../../support/http.js';
import { pathOf, type Description, type Page } from '../../../support/kv.js';
import { startInProcess, type Target } from '../../../support/target.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';
import { ADMIN, bearer, issue } from '../../../support/tokens.js';

interface Restored {
  readonly restored: number;
  readonly deleted: number;
  readonly unchanged: number;
  readonly errors: { readonly key: string; readonly code: string; readonly detail: string }[];
  readonly errorCount: number;
}

let target: Target;
let made = 0;
beforeAll(async () => {
  target = await startInProcess({ DATABASE_URL: `lmdb:${temporaryFolder()}` });
});
afterAll(() => target.close());

/** A folder that no other test uses. */
function freshFolder(): string {
  return `folder-${made++}/`;
}

async function write(key: string, value: string | Buffer, query = '', headers = {}): Promise<string> {
  const path = `${pathOf(key)}${query}`;
  const answer = await ask(target.port, path, { method: 'PUT', body: value, headers });
  return (JSON.parse(answer.text) as Description).etag;
}

function remove(key: string): Promise<Answer> {
  return ask(target.port, pathOf(key), { method: 'DELETE' });
}

function restore(prefix: string, at: string, query = '', port = target.port, headers = {}): Promise<Answer> {
  return ask(port, `/kv?prefix=${prefix}&at=${at}${query}`, { method: 'PATCH', headers });
}

async function restored(prefix: string, at: string, query = ''): Promise<Restored> {
  const answer = await restore(prefix, at, query);
  expect(answer).toMatchObject({ status: 200 });
  return JSON.parse(answer.text) as Restored;
}

/** What a folder has, as plain data, and the moment of that. */
async function folder(prefix: string): Promise<{ entries: unknown[]; at: string }> {
  const answer = await ask(target.port, `/kv?prefix=${prefix}&values=true&limit=1000`);
  const { items } = JSON.parse(answer.text) as Page;
  const entries = items.map(({ key, type, value, base64, expires }) => ({
    key,
    type,
    value,
    base64,
    expires,
  }));
  return { entries, at: String(answer.headers['kv-revision']) };
}

function codeOf({ status, text }: Answer): string {
  return `${status} ${(JSON.parse(text) as { code: string }).code}`;
}

const NOTHING = { restored: 0, deleted: 0, unchanged: 0, errors: [], errorCount: 0 };

describe('PATCH /kv?prefix=&at=', () => {
  test('puts a range back to a moment, and back again, and leaves others alone', async () => {
    const prefix = freshFolder();
    const [outside] = [`${prefix.slice(0, -1)}-other`];
    await write(outside, 'outside');
    for (const name of ['same', 'changed', 'deleted', 'again']) await write(prefix + name, `old ${name}`);
    await write(`${prefix}typed`, '{}', '', { 'Content-Type': 'application/json' });
    await write(`${prefix}stays`, 'x', '?ttl=1h');
    const before = await folder(prefix);
    await write(`${prefix}changed`, 'new');
    await write(`${prefix}typed`, '{}');
    await write(`${prefix}stays`, 'x');
    await write(`${prefix}new`, 'new');
    for (const name of ['deleted', 'again']) await remove(prefix + name);
    await write(`${prefix}again`, 'old again');
    await write(outside, 'changed');
    const after = await folder(prefix);

    const counts = { restored: 4, deleted: 1, unchanged: 2, errors: [], errorCount: 0 };
    expect(await restored(prefix, before.at, '&dry-run=true')).toEqual(counts);
    expect((await folder(prefix)).entries).toEqual(after.entries);
    expect(await restored(prefix, before.at)).toEqual(counts);
    expect((await folder(prefix)).entries).toEqual(before.entries);
    expect(await restored(prefix, before.at)).toEqual({ ...NOTHING, unchanged: 6 });
    expect(await restored(prefix, after.at)).toEqual({ ...counts, deleted: 1 });
    expect((await folder(prefix)).entries).toEqual(after.entries);
    expect((await ask(target.port, pathOf(outside))).text).toBe('changed');
  });

  test('takes a time, and the part of a range between two keys', async () => {
    const prefix = freshFolder();
    for (const name of ['a', 'b', 'c']) await write(prefix + name, 'old');
    await pause(5);
    const time = new Date().toISOString();
    await pause(5);
    for (const name of ['a', 'b', 'c']) await write(prefix + name, 'new');
    expect(await restored(prefix, time, `&from=${prefix}b&to=${prefix}c`)).toEqual({
      ...NOTHING,
      restored: 1,
    });
    const { entries } = await folder(prefix);
    expect(entries.map((entry) => (entry as { value: string }).value)).toEqual(['new', 'old', 'new']);
  });

  test('brings nothing back whose time has run out meanwhile', async () => {
    const prefix = freshFolder();
    await write(`${prefix}brief`, 'x', '?ttl=500ms');
    await write(`${prefix}brief too`, 'x', '?ttl=500ms');
    const { at } = await folder(prefix);
    await write(`${prefix}brief too`, 'for ever');
    await pause(600);
    expect(await restored(prefix, at)).toEqual({ ...NOTHING, deleted: 1 });
    expect((await folder(prefix)).entries).toEqual([]);
  });

  test('names the keys that it cannot put back, with the reason, and does the others', async () => {
    const prefix = freshFolder();
    await write(`${prefix}large`, Buffer.alloc(70_000));
    await write(`${prefix}small`, 'old');
    const { at } = await folder(prefix);
    for (const name of ['large', 'small']) await write(prefix + name, 'new');
    const { errors, ...counts } = await restored(prefix, at);
    expect(counts).toEqual({ restored: 1, deleted: 0, unchanged: 0, errorCount: 1 });
    expect(errors).toEqual([
      { key: `${prefix}large`, code: 'history-gone', detail: expect.stringContaining('70000') as unknown },
    ]);
  });

  test('is an event for each key that it changes, and none for others', async () => {
    const prefix = freshFolder();
    await write(`${prefix}a`, 'old');
    await write(`${prefix}b`, 'same');
    const { at } = await folder(prefix);
    await write(`${prefix}a`, 'new');
    await write(`${prefix}c`, 'new');
    await restored(prefix, at);
    const kinds = async (name: string) => {
      const answer = await ask(target.port, `${pathOf(prefix + name)}?history=true`);
      return (JSON.parse(answer.text) as { items: { kind: string; value?: string }[] }).items.map(
        ({ kind, value }) => `${kind} ${value ?? ''}`,
      );
    };
    expect(await kinds('a')).toEqual(['put old', 'put new', 'put old']);
    expect(await kinds('b')).toEqual(['put same']);
    expect(await kinds('c')).toEqual(['delete ', 'put new']);
  });

  test('refuses what is not meant: no moment, a malformed one, all without `confirm`, conditions, a body', async () => {
    const prefix = freshFolder();
    const etag = await write(`${prefix}a`, 'x');
    const patch = (query: string, headers = {}, body?: string) =>
      ask(target.port, `/kv${query}`, { method: 'PATCH', headers, ...(body !== undefined && { body }) });
    for (const query of [
      '',
      `?prefix=${prefix}`,
      `?prefix=${prefix}&at=nonsense`,
      `?prefix=${prefix}&at=${etag}&limit=1`,
    ])
      expect(codeOf(await patch(query))).toBe('400 invalid-parameter');
    expect(codeOf(await patch(`?at=${etag}`))).toBe('400 confirmation-needed');
    expect((await patch(`?at=${etag}&dry-run=true`)).status).toBe(200);
    expect(codeOf(await patch(`?prefix=${prefix}&at=${etag}`, { 'If-Match': '*' }))).toBe(
      '400 invalid-condition',
    );
    expect(codeOf(await patch(`?prefix=${prefix}&at=${etag}`, {}, '{}'))).toBe('400 invalid-parameter');
    expect(codeOf(await restore(prefix, '00000001-0000000000001'))).toBe('410 history-gone');
    expect(codeOf(await restore(prefix, '1970-01-01T00:00:00'))).toBe('400 invalid-parameter');
  });

  test('of a namespace is that of its keys alone, needs `write`, and no token that has to have conditions', async () => {
    const guarded = await startInProcess({ DATABASE_URL: `lmdb:${temporaryFolder()}`, ADMIN_TOKEN: ADMIN });
    try {
      const { port } = guarded;
      const jail = await issue(port, { namespace: 'app1/', can: ['read', 'write'] });
      const reader = await issue(port, { can: ['read'] });
      const careful = await issue(port, { can: ['read', 'write'], requireConditions: true });
      const as = (token: string, key: string, body: string) =>
        ask(port, pathOf(key), { method: 'PUT', headers: bearer(token), body });
      await as(ADMIN, 'x', 'old');
      const { etag } = JSON.parse((await as(jail.token, 'x', 'old')).text) as Description;
      await as(ADMIN, 'x', 'new');
      await as(jail.token, 'x', 'new');
      await as(jail.token, 'y', 'new');
      expect(codeOf(await restore('x', etag, '', port, bearer(reader.token)))).toBe('403 forbidden');
      expect(codeOf(await restore('x', etag, '', port, bearer(careful.token)))).toBe(
        '428 condition-required',
      );
      const counted = await restore('x', etag, '&dry-run=true', port, bearer(careful.token));
      expect(JSON.parse(counted.text)).toEqual({ ...NOTHING, restored: 1 });
      const answer = await restore('', etag, '&confirm=all', port, bearer(jail.token));
      expect(JSON.parse(answer.text)).toEqual({ ...NOTHING, restored: 1, deleted: 1 });
      const read = async (token: string) => (await ask(port, '/', { headers: bearer(token) })).text;
      expect(JSON.parse(await read(ADMIN))).toEqual({ x: 'new', 'app1/x': 'old' });
    } finally {
      await guarded.close();
    }
  });
});
