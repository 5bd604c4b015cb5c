import { beforeEach, describe, expect, test } from '@jest/globals';
import type { AppConfig } from '../../src/config/app-config.js';
import { DatabaseError } from '../../src/errors.js';
import { DatabaseService } from '../../src/kv/database.service.js';
import { MemoryEngine } from '../../src/storage/memory.engine.js';
import type { Entry, EntryHeader } from '../../src/storage/entry.js';
import { FakeTime } from '../support/fake-time.js';
import { codeOf, headerOf, put, refusalOf, textOf } from './shorthand.js';

const appending =
  (text: string) =>
  ({ value }: Entry) =>
    Buffer.from(`${value.toString()}${text}`);

describe('an edit', () => {
  let engine: MemoryEngine;
  let database: DatabaseService;
  let time: FakeTime;
  beforeEach(() => {
    time = new FakeTime();
    engine = new MemoryEngine(time.clock());
    database = new DatabaseService(engine, { maxValueBytes: 100 } as AppConfig);
  });

  test('computes the value from the current entry and keeps type, expiry and creation time', async () => {
    const before = await put(engine, 'a', 'ab', { type: 'text/x', expiry: { in: 9000 } });
    time.advance(3);
    const { created, entry } = await database.edit('a', appending('c'));
    expect(created).toBe(false);
    expect(await textOf(engine, 'a')).toBe('abc');
    const { etag } = entry;
    expect(headerOf(entry)).toEqual({ ...headerOf(before), etag, modified: before.modified + 3, size: 3 });
    expect(etag).not.toBe(before.etag);
  });

  test('of an absent key is refused as missing-key, whatever the condition', async () => {
    expect(await codeOf(database.edit('a', appending('x')))).toBe('missing-key');
    expect(await codeOf(database.edit('a', appending('x'), { ifMatch: ['x'] }))).toBe('missing-key');
    expect(engine.get('a')).toBeUndefined();
  });

  test('that fails, or whose value is too large, changes nothing', async () => {
    const before = await put(engine, 'a', 'x');
    const failing = () => {
      throw new DatabaseError('not-json', 'No.');
    };
    expect(await codeOf(database.edit('a', failing))).toBe('not-json');
    expect(await codeOf(database.edit('a', async () => failing()))).toBe('not-json');
    expect(await codeOf(database.edit('a', appending('x'.repeat(100))))).toBe('value-too-large');
    expect(headerOf(engine.get('a')!)).toEqual(headerOf(before));
  });

  test('that is refused for what the entry is does not read its value', async () => {
    const unread = new (class extends MemoryEngine {
      override get(): never {
        throw new Error('the value was read');
      }
    })(time.clock());
    await put(unread, 'a', 'x');
    const other = new DatabaseService(unread, { maxValueBytes: 100 } as AppConfig);
    const check = ({ size }: EntryHeader) => {
      throw new DatabaseError('value-too-large', `${size}`);
    };
    expect(await codeOf(other.edit('a', appending('x'), undefined, check))).toBe('value-too-large');
    const stale = { ifMatch: ['x'] };
    expect(await codeOf(other.edit('a', appending('x'), stale, check))).toBe('precondition-failed');
  });

  test('that is overtaken is done again on the new entry', async () => {
    await put(engine, 'a', '1');
    const seen: string[] = [];
    await database.edit('a', async (entry) => {
      seen.push(entry.value.toString());
      if (seen.length === 1) await put(engine, 'a', '2', { type: 'text/x' });
      return appending('x')(entry);
    });
    expect(seen).toEqual(['1', '2']);
    expect(await textOf(engine, 'a')).toBe('2x');
    expect(engine.get('a')!.type).toBe('text/x');
  });

  test('whose entry is deleted meanwhile creates nothing', async () => {
    await put(engine, 'a', '1');
    const edit = database.edit('a', async (entry) => {
      await engine.write({ op: 'delete', key: 'a' });
      return entry.value;
    });
    expect(await codeOf(edit)).toBe('missing-key');
    expect(engine.get('a')).toBeUndefined();
  });

  test('whose condition no longer holds after it was overtaken is refused with the current tag', async () => {
    const { etag } = await put(engine, 'a', '1');
    const edit = database.edit(
      'a',
      async (entry) => {
        await put(engine, 'a', '2');
        return entry.value;
      },
      { ifMatch: [etag] },
    );
    const current = () => engine.get('a')!.etag;
    expect(await refusalOf(edit)).toEqual({ code: 'precondition-failed', etag: current() });
    expect(await textOf(engine, 'a')).toBe('2');
  });

  test('that is overtaken ten times is refused as busy, and applied in no part', async () => {
    await put(engine, 'a', '0');
    let tries = 0;
    const edit = database.edit('a', async () => {
      await put(engine, 'a', `${++tries}`);
      return Buffer.from('edited');
    });
    expect(await codeOf(edit)).toBe('busy');
    expect(tries).toBe(10);
    expect(await textOf(engine, 'a')).toBe('10');
  });

  test('is atomic: of 200 of one key at once none is lost, and none is done again', async () => {
    await put(engine, 'a', '');
    let tries = 0;
    const edits = Array.from({ length: 200 }, (_, i) =>
      database.edit('a', async (entry) => {
        tries++;
        if (i % 7 === 0) await new Promise(setImmediate);
        return Buffer.from(`${Number(entry.value) + 1}`);
      }),
    );
    await Promise.all(edits);
    expect(await textOf(engine, 'a')).toBe('200');
    expect(tries).toBe(200);
  });
});
