import {
  bytesOf,
  type Pigeonhole,
  type PigeonholeError,
  type Value,
} from '../../../src/client/pigeonhole.js';

/*
 * What the client does, as functions of a client. They know of nothing but it, so that a page in a browser runs them as Node
 * does: whoever runs them there has only to say where the client is.
 */

/** @throws Error if the client does not keep it */
export type Rule = (db: Pigeonhole) => Promise<void>;

const KEYS = ['a', 'a/b c', '.', '..', 'x/../y', 'x//y', 'x/', '/', 'ä?#%&+=', '__proto__'];
const BYTES = new Uint8Array([0, 255, 10, 13]);

function textOf(value: unknown): string {
  return JSON.stringify(value, (_name, member: unknown) => {
    if (typeof member === 'bigint') return `${member}n`;
    return member instanceof Uint8Array ? [...member] : member;
  });
}

function same(actual: unknown, expected: unknown): void {
  if (textOf(actual) !== textOf(expected)) throw new Error(`${textOf(actual)} is not ${textOf(expected)}`);
}

/** Some members of an object, in this order. */
function members(of: object | undefined, ...names: readonly string[]): unknown[] {
  return names.map((name) => (of as Record<string, unknown> | undefined)?.[name]);
}

/** Returns what a call fails with. */
async function failure(call: Promise<unknown>): Promise<PigeonholeError> {
  const done = {};
  const error: unknown = await call.then(
    () => done,
    (thrown: unknown) => thrown,
  );
  if (error === done) throw new Error('The call has succeeded.');
  return error as PigeonholeError;
}

let made = 0;
const freshKey = () => `rule/${made++}`;

export const RULES: Readonly<Record<string, Rule>> = {
  async 'stores, describes and deletes what any key names'(db) {
    for (const key of KEYS) {
      const stored = await db.put(key, 'värde');
      same(members(stored, 'key', 'isNew', 'type', 'size'), [key, true, 'text/plain; charset=utf-8', 6]);
      same((await db.put(key, 'other')).isNew, false);
      same(await (await db.get(key))!.text(), 'other');
      same(members(await db.info(key), 'key', 'size', 'expires'), [key, 5, null]);
      await db.del(key);
      same([await db.get(key), await db.info(key)], [undefined, undefined]);
    }
  },

  async 'gives values back as text, JSON, bytes and streams'(db) {
    const key = freshKey();
    same((await db.put(key, { a: [1, null] })).type, 'application/json');
    same(await (await db.get(key))!.json(), { a: [1, null] });
    for (const value of [BYTES, BYTES.buffer, new Blob([BYTES])]) {
      await db.put(key, value);
      const entry = (await db.get(key))!;
      same(members(entry, 'type', 'size', 'status'), ['application/octet-stream', 4, 200]);
      same(await entry.bytes(), BYTES);
      const chunks: number[] = [];
      const reader = (await db.get(key))!.body!.getReader();
      for (let next = await reader.read(); !next.done; next = await reader.read()) chunks.push(...next.value);
      same(chunks, BYTES);
    }
    same((await db.put(key, '<p>', { type: 'text/html' })).type, 'text/html');
    const part = (await db.get(key, { range: 'bytes=1-1' }))!;
    same([part.status, await part.text()], [206, 'p']);
  },

  async 'writes and reads under conditions'(db) {
    const key = freshKey();
    const { etag } = await db.put(key, '1', { create: true });
    const refused = await failure(db.put(key, '2', { ifNoneMatch: '*' }));
    same([refused.code, refused.status, refused.problem['etag']], ['precondition-failed', 412, etag]);
    same((await db.get(key, { ifNoneMatch: etag }))!.status, 304);
    const next = await db.put(key, '2', { ifMatch: etag });
    same((await db.get(key))!.etag, next.etag);
    same((await failure(db.del(key, { ifMatch: etag }))).status, 412);
    await db.del(key, { ifMatch: next.etag });
  },

  async 'counts, touches and patches'(db) {
    const key = freshKey();
    same(await db.incr(key), 1n);
    same(await db.incr(key, 9_007_199_254_740_993n), 9_007_199_254_740_994n);
    const { expires } = await db.touch(key, '1h');
    same((await db.get(key))!.expires, new Date(expires!));
    same((await db.touch(key, 'none')).expires, null);
    same((await db.touch(key, new Date('2100-01-01T00:00:00Z'))).expires, '2100-01-01T00:00:00.000Z');
    await db.put(key, { a: 1, b: 2 });
    same(await db.patch(key, { b: null, c: 3 }), { a: 1, c: 3 });
  },

  async 'lists, counts, exports, imports and deletes a range'(db) {
    await db.put('range/a', 'A');
    await db.put('range/b', new Uint8Array([255]));
    await db.put('range/c/d', 'D');
    const page = await db.list({ prefix: 'range/', limit: 2, values: true, delimiter: '/' });
    same([page.items.map(({ key }) => key), page.next], [['range/a', 'range/b'], 'range/b']);
    same(page.items.map(bytesOf), [[65], [255]]);
    const keys: string[] = [];
    for await (const { key } of db.entries({ prefix: 'range/', limit: 1 })) keys.push(key);
    same(keys, ['range/a', 'range/b', 'range/c/d']);
    same(await db.count({ prefix: 'range/' }), 3);
    same((await failure(db.count({ prefix: 'x'.repeat(1025) }))).code, 'invalid-parameter');

    const chunks: Uint8Array<ArrayBuffer>[] = [];
    const sink = new WritableStream<Uint8Array>({
      write: (chunk) => void chunks.push(chunk as Uint8Array<ArrayBuffer>),
    });
    same((await db.exportTo(sink, { prefix: 'range/' })).count, 3);
    same(await db.delRange({ prefix: 'range/', dryRun: true }), 3);
    same(await db.delRange({ prefix: 'range/' }), 3);
    const lines = await new Blob(chunks).text();
    same(members(await db.importFrom(lines), 'created', 'end'), [3, true]);
    same((await db.importFrom(new Blob([lines]), { mode: 'create' })).skipped, 3);
    const half = await failure(db.importFrom(lines.slice(0, -10), { dryRun: true }));
    same([half.code, half.problem['updated']], ['truncated', 3]);
  },

  async 'does a batch as a pipeline, and says which operation of an atomic one was refused'(db) {
    const key = freshKey();
    const put = { op: 'put', key, value: { a: 1 }, ttl: '1h' } as const;
    const [stored, read] = await db.batch([put, { op: 'get', key }], { atomic: false });
    same([stored!.status, read!.status, read!.value], [201, 200, '{"a":1}']);
    const refused = await failure(db.batch([{ op: 'check', key, ifNoneMatch: '*' }]));
    same([refused.code, refused.problem['index']], ['precondition-failed', 0]);
  },

  async 'watches several prefixes and keys, and ends when it is aborted'(db) {
    await db.put('watch/a', '1');
    const over = new AbortController();
    const told: string[] = [];
    const watching = (async () => {
      const targets = { prefix: ['watch/', 'other/'], key: ['one', 'two'] };
      for await (const event of db.watch(targets, { signal: over.signal })) {
        told.push('key' in event ? `${event.kind} ${event.key}` : event.kind);
        if (event.kind === 'ready') await db.put('one', 'x').then(() => db.del('one'));
        if (event.kind === 'delete') over.abort('enough');
      }
    })();
    same(await failure(watching), 'enough');
    same(told, ['put watch/a', 'ready', 'put one', 'delete one']);
  },

  async 'goes on at the position of a page'(db) {
    const { revision } = await db.list({ prefix: 'since/' });
    await db.put('since/a', '1');
    for await (const event of db.watch({ prefix: 'since/' }, { since: revision })) {
      same(members(event, 'kind', 'key', 'value'), ['put', 'since/a', '1']);
      if (event.kind === 'put') break;
    }
  },

  async 'a watch since nothing tells what is there first'(db) {
    await db.put('nothing/a', '1');
    const events = db.watch({ prefix: 'nothing/' }, { since: '' });
    same(members((await events.next()).value as object, 'kind', 'key'), ['put', 'nothing/a']);
    await events.return();
  },

  async 'gives a call up when it is aborted, with the reason'(db) {
    const over = new AbortController();
    const waiting = db.get(freshKey(), { wait: 30, signal: over.signal });
    over.abort('enough');
    same(await failure(waiting), 'enough');
    for (const call of calls(db, AbortSignal.abort('never'))) same(await failure(call()), 'never');
  },

  async 'keeps a lock until it is released, and gives the next holder a later fence'(db) {
    const first = await db.lock('one', { ttl: '5s', holder: 'first' });
    same((await failure(db.lock('one', { wait: false }))).code, 'precondition-failed');
    const waiting = db.lock('one', { ttl: '5s' });
    same((await (await db.get(first.key))!.text()).startsWith('first '), true);
    await first.release();
    const second = await waiting;
    same([first.signal.aborted, second.signal.aborted, second.left > 0], [false, false, true]);
    same(second.fence === first.fence, false);
    await second.release();
    same(await db.get(first.key), undefined);
  },

  async 'says when a lock is lost'(db) {
    const lock = await db.lock('lost', { ttl: '1s' });
    await db.put(lock.key, 'somebody else');
    await new Promise((resolve) => lock.signal.addEventListener('abort', resolve));
    same((lock.signal.reason as PigeonholeError).code, 'lock-lost');
    await lock.release();
    same(await (await db.get(lock.key))!.text(), 'somebody else');
    await db.del(lock.key);
  },
};

/** Every call, each with a signal. */
export function calls(db: Pigeonhole, signal: AbortSignal): (() => Promise<unknown>)[] {
  const key = 'call';
  return [
    () => db.get(key, { signal }),
    () => db.info(key, { signal }),
    () => db.put(key, '1', { signal }),
    () => db.del(key, { signal }),
    () => db.incr(key, 1, { signal }),
    () => db.touch(key, '1h', { signal }),
    () => db.patch(key, {}, { signal }),
    () => db.list({ signal }),
    () => db.entries({ signal }).next(),
    () => db.count({ signal }),
    () => db.delRange({ prefix: 'call/', signal }),
    () => db.batch([{ op: 'get', key }], { signal }),
    () => db.exportTo(new WritableStream(), { signal }),
    () => db.importFrom('', { signal }),
    () => db.watch({ key }, { signal }).next(),
    () => db.lock('call', { signal }),
    () => db.request('kv', { signal }),
  ];
}

/** What browsers do not send. */
export const STREAM_RULES: Readonly<Record<string, Rule>> = {
  async 'sends streams, once'(db) {
    const key = freshKey();
    await db.put(key, new Blob([BYTES]).stream() as Value);
    same(await (await db.get(key))!.bytes(), BYTES);
    const line = `{"key":"${key}","value":"x"}\n`;
    same((await db.importFrom(new Blob([line]).stream())).updated, 1);
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const copied = db.importFrom(readable, { dryRun: true });
    same((await db.exportTo(writable, { prefix: key })).count, 1);
    same((await copied).end, true);
  },
};
