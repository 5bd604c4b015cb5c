import { describe, expect, it } from '@jest/globals';
import { DatabaseError } from '../../../src/errors.js';
import { FakeTime } from '../../support/fake-time.js';
import { decode, decodeHeader, encode, type StoredEntry } from '../../../src/storage/lmdb/record.js';
import { LmdbEngine } from '../../../src/storage/lmdb/engine.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { codeOf, headerOf, kindOf, namesOf, put, putOf, scanned, textOf } from '../shorthand.js';
import { lmdb } from '../engines.js';

function entryOf(change: Partial<StoredEntry>): StoredEntry {
  const value = change.value ?? Buffer.from('value');
  return {
    key: 'key',
    type: 'text/plain; charset=utf-8',
    etag: '65000000-000000000000b',
    size: value.length,
    created: 1_893_456_000_000,
    modified: 1_893_456_000_001,
    expires: 0,
    epoch: 0x65000000,
    sequence: 11,
    ...change,
    value,
  };
}

const SAMPLES: readonly StoredEntry[] = [
  entryOf({}),
  entryOf({ value: Buffer.alloc(0) }),
  entryOf({ type: 'application/json', value: Buffer.from('{}'), expires: 1_893_456_999_999 }),
  entryOf({ created: 1_893_456_000_001, expires: 253_402_300_799_999 }),
  entryOf({ sequence: 2 ** 48 - 1, etag: '65000000-0ffffffffffff' }),
  entryOf({ type: 'application/octet-stream', value: Buffer.alloc(300, 0xff) }),
  entryOf({ type: 'x/y; a="\u00e9\u00ff"', key: '😀\0\uffff' }),
  entryOf({ type: `x/${'y'.repeat(9000)}` }),
];

function codeOfDecoding(key: string, record: Buffer): string {
  try {
    decode(key, record);
    return 'decoded';
  } catch (error) {
    return error instanceof DatabaseError ? error.code : String(error);
  }
}

describe('a record', () => {
  it('keeps every part of its entry', () => {
    for (const entry of SAMPLES) {
      const decoded = decode(entry.key, encode(entry));
      expect(headerOf(decoded)).toEqual(headerOf(entry));
      expect(decoded.value.equals(entry.value)).toBe(true);
      expect([decoded.epoch, decoded.sequence]).toEqual([entry.epoch, entry.sequence]);
    }
  });

  it('has a header that does not need the memory of the record', () => {
    for (const entry of SAMPLES) {
      const record = encode(entry);
      const header = decodeHeader(entry.key, record);
      record.fill(0);
      expect(headerOf(header)).toEqual(headerOf(entry));
    }
  });

  it('with any one bit flipped is corrupt', () => {
    for (const entry of SAMPLES.slice(0, -1)) {
      const record = encode(entry);
      for (let bit = 0; bit < record.length * 8; bit++) {
        record[bit >> 3]! ^= 1 << (bit & 7);
        expect([bit, codeOfDecoding(entry.key, record)]).toEqual([bit, 'corrupt']);
        record[bit >> 3]! ^= 1 << (bit & 7);
      }
      expect(codeOfDecoding(entry.key, record)).toBe('decoded');
    }
  });

  it('cut short anywhere, or followed by other bytes, is corrupt', () => {
    const record = encode(SAMPLES[0]!);
    for (let length = 0; length < record.length; length++)
      expect([length, codeOfDecoding('key', record.subarray(0, length))]).toEqual([length, 'corrupt']);
    expect(codeOfDecoding('key', Buffer.concat([record, Buffer.alloc(1)]))).toBe('corrupt');
    expect(codeOfDecoding('key', Buffer.alloc(record.length))).toBe('corrupt');
  });

  it('under another key is corrupt', () => {
    const record = encode(SAMPLES[0]!);
    for (const key of ['kez', 'key\0', 'ke', 'KEY', '']) expect(codeOfDecoding(key, record)).toBe('corrupt');
  });
});

describe('a store with a corrupt record', () => {
  async function withCorruptRecord(use: (engine: LmdbEngine) => Promise<void>): Promise<void> {
    const engine = lmdb.make(new FakeTime().clock(), temporaryFolder()) as LmdbEngine;
    try {
      await engine.open();
      await engine.batch(
        [putOf('a', '1'), putOf('bad', '2', { expiry: { in: 9000 } }), putOf('c', '3')],
        true,
      );
      const { entries } = engine['store'];
      const record = Buffer.from(entries.getBinary('bad')!);
      record[record.length - 5]! ^= 1; // the value
      await entries.put('bad', record);
      await use(engine);
    } finally {
      await engine.close();
    }
  }

  it('fails every read of it with corrupt', () =>
    withCorruptRecord(async (engine) => {
      expect(await codeOf((async () => engine.get('bad'))())).toBe('corrupt');
      expect(await codeOf(scanned(engine))).toBe('corrupt');
      expect(await codeOf(scanned(engine, '', false))).toBe('corrupt');
      expect(await codeOf(engine.write({ op: 'get', key: 'bad' }))).toBe('corrupt');
    }));

  it('leaves it out of pages, which name it', () =>
    withCorruptRecord(async (engine) => {
      for (const values of [false, true]) {
        const page = await engine.range({ prefix: '', limit: 9, values });
        expect(page.items.map(({ key }) => key)).toEqual(['a', 'c']);
        expect(page.damaged).toEqual(['bad']);
      }
      expect(await engine.range({ prefix: 'b', limit: 9 })).toMatchObject({ items: [], damaged: ['bad'] });
      expect(await engine.range({ prefix: 'c', limit: 9 })).not.toHaveProperty('damaged');
      expect(await engine.range({ prefix: '', limit: 1 })).toMatchObject({ next: 'a' });
      expect(await engine.range({ prefix: '', limit: 1, after: 'a' })).toMatchObject({
        items: [{ key: 'c' }],
        damaged: ['bad'],
      });
    }));

  it('leaves it out of scans that want to be told of it instead', () =>
    withCorruptRecord(async (engine) => {
      for (const values of [false, true]) {
        const damaged: string[] = [];
        const keys: string[] = [];
        const onDamaged = (key: string) => void damaged.push(key);
        for await (const chunk of engine.scan({ prefix: '', values, onDamaged }))
          keys.push(...chunk.map(({ key }) => key));
        expect({ keys, damaged }).toEqual({ keys: ['a', 'c'], damaged: ['bad'] });
      }
    }));

  it('names it once in the log, whatever reads it', () =>
    withCorruptRecord(async (engine) => {
      const faults: string[] = [];
      engine['store'].faults.report = (text) => void faults.push(text);
      for (let i = 0; i < 3; i++) {
        await codeOf((async () => engine.get('bad'))());
        await engine.range({ prefix: '', limit: 9 });
        await codeOf(scanned(engine));
        await codeOf(engine.write({ op: 'get', key: 'bad' }));
      }
      expect(faults).toEqual([expect.stringContaining('`bad` fails its checksum')]);
    }));

  it('reads and writes all other entries', () =>
    withCorruptRecord(async (engine) => {
      expect(await textOf(engine, 'a')).toBe('1');
      expect(await namesOf(engine, { prefix: 'c' })).toEqual(['c']);
      await put(engine, 'd', '4');
      expect(await codeOf(engine.batch([putOf('e', '5'), { op: 'get', key: 'bad' }], true))).toBe('corrupt');
      expect(engine.get('e')).toBeUndefined();
      const outcomes = await engine.batch(
        [putOf('e', '5'), { op: 'get', key: 'bad' }, putOf('f', '6')],
        false,
      );
      expect(outcomes.map(kindOf)).toEqual(['created', 'corrupt', 'created']);
      expect(outcomes[1]).toMatchObject({ context: { keys: ['bad'] } });
    }));

  it('refuses operations that depend on it', () =>
    withCorruptRecord(async (engine) => {
      const condition = { ifMatch: '*' as const };
      expect(await codeOf(engine.write({ op: 'incr', key: 'bad', amount: 1n, expiry: 'never' }))).toBe(
        'corrupt',
      );
      expect(await codeOf(engine.write({ op: 'touch', key: 'bad', expiry: 'never' }))).toBe('corrupt');
      expect(await codeOf(put(engine, 'bad', 'x', { condition }))).toBe('corrupt');
      expect(await codeOf(engine.write({ op: 'delete', key: 'bad', condition }))).toBe('corrupt');
      expect(await codeOf(engine.write({ op: 'check', key: 'bad', condition }))).toBe('corrupt');
    }));

  it('lets a put replace it', () =>
    withCorruptRecord(async (engine) => {
      await put(engine, 'bad', 'good');
      expect(await textOf(engine, 'bad')).toBe('good');
      expect(await namesOf(engine)).toEqual(['a', 'bad', 'c']);
    }));

  it('lets a delete remove it', () =>
    withCorruptRecord(async (engine) => {
      await engine.write({ op: 'delete', key: 'bad' });
      expect(await namesOf(engine)).toEqual(['a', 'c']);
    }));
});
