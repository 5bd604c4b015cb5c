import type { Entry } from '../../../src/storage/entry.js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { DatabaseError } from '../../../src/errors.js';
import { LmdbEngine } from '../../../src/storage/lmdb/engine.js';
import { DataFile } from '../../support/data-file.js';
import { FakeTime } from '../../support/fake-time.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { codeOf, keysScanned, kindOf, put, putOf, scanned, textOf } from '../shorthand.js';

const COUNT = 4000;
const LONGEST_SWEEP_MS = 20_000;

let time: FakeTime;
let folder: string;
let engine: LmdbEngine;
let faults: string[];

const nameOf = (i: number) => `k/${String(i).padStart(6, '0')}`;

beforeEach(async () => {
  time = new FakeTime();
  folder = temporaryFolder();
  faults = [];
  const onFault = (text: string) => void faults.push(text);
  const settings = { onFailure: () => undefined, onFault, maxSnapshotAge: 60_000, watchLogBytes: 2 ** 20 };
  engine = new LmdbEngine(folder, settings, time.clock());
  await engine.open();
});

afterEach(() => engine.close());

/** Stores entries. Returns their keys. */
async function fill(ttl?: number): Promise<string[]> {
  const expiry = ttl === undefined ? 'never' : { in: ttl };
  const all = Array.from({ length: COUNT }, (_, i) => putOf(nameOf(i), `value ${i}`.repeat(8), { expiry }));
  await engine.batch(all, true);
  return all.map(({ key }) => key);
}

/** Stores entries, then breaks a leaf off its branch. Returns the keys that are lost, and those that are not. */
async function breakLeaf(ttl?: number): Promise<{ lost: string[]; healthy: string[] }> {
  const all = await fill(ttl);
  const file = new DataFile(join(folder, 'data.mdb'));
  const pages = file.pagesOf('entries');
  const branch = pages.find(({ isBranch }) => isBranch)!;
  const node = branch.nodes[Math.floor(branch.nodes.length / 2)]!;
  const leaf = pages.find(({ start }) => start === file.childOf(node))!;
  file.breakOff(node);
  const lost = [...leaf.keys];
  return { lost, healthy: all.filter((key) => !lost.includes(key)) };
}

function expectRight(keys: readonly string[]): void {
  const wrong = keys.filter(
    (key) =>
      (engine.get(key) as Entry | undefined)?.value.toString() !== `value ${Number(key.slice(2))}`.repeat(8),
  );
  expect(wrong).toEqual([]);
}

function codeOfReading(key: string): string {
  try {
    void engine.get(key);
    return 'read';
  } catch (error) {
    return error instanceof DatabaseError ? error.code : String(error);
  }
}

describe('a page that cannot be reached', () => {
  it('fails reads of its own keys with corrupt, and no other read of the same turn', async () => {
    const { lost, healthy } = await breakLeaf();
    expect(lost.length).toBeGreaterThan(5);
    for (const key of lost) {
      expect(codeOfReading(key)).toBe('corrupt');
      expectRight(healthy.slice(0, 20));
    }
    expectRight(healthy);
  });

  it('fails pages and scans that need it, which leave nothing behind', async () => {
    const { lost, healthy } = await breakLeaf();
    // More than there are slots for scans.
    for (let i = 0; i < 20; i++) {
      expect(await codeOf((async () => engine.range({ prefix: '', limit: COUNT }))())).toBe('corrupt');
      expect(await codeOf(scanned(engine))).toBe('corrupt');
    }
    expect((await engine.range({ prefix: '', limit: 10 })).items.map(({ key }) => key)).toEqual(
      healthy.slice(0, 10),
    );
    expect(await keysScanned(engine, healthy[0]!)).toEqual([healthy[0]]);
    const next = healthy.find((key) => key > lost[0]!)!;
    expect((await engine.range({ prefix: '', after: next, limit: 10 })).items).toHaveLength(10);
    expectRight(healthy);
  });

  it('fails a write of its own keys alone, whichever writes share the transaction', async () => {
    const { lost, healthy } = await breakLeaf();
    const keys = [healthy[0]!, lost[0]!, healthy[1]!, lost[1]!, healthy.at(-1)!];
    const codes = await Promise.all(keys.map((key) => codeOf(put(engine, key, 'new'))));
    expect(codes).toEqual(['not refused', 'corrupt', 'not refused', 'corrupt', 'not refused']);
    for (const key of [healthy[0]!, healthy[1]!, healthy.at(-1)!])
      expect(await textOf(engine, key)).toBe('new');
    expectRight(healthy.slice(2, -1));
  });

  it('fails the delete alone that would merge a page with it', async () => {
    const { lost, healthy } = await breakLeaf();
    const before = healthy.filter((key) => key < lost[0]!).slice(-40);
    const codes = await Promise.all([
      ...before.map((key) => codeOf(engine.write({ op: 'delete', key }))),
      codeOf(put(engine, healthy[0]!, 'new')),
    ]);
    expect(codes.pop()).toBe('not refused');
    expect(new Set(codes)).toEqual(new Set(['not refused', 'corrupt']));
    for (const [i, key] of before.entries())
      expect([key, engine.get(key) === undefined]).toEqual([key, codes[i] === 'not refused']);
    expect(await textOf(engine, healthy[0]!)).toBe('new');
  });

  it('fails its own operation of a pipeline, and all of an atomic batch', async () => {
    const { lost, healthy } = await breakLeaf();
    const operations = [putOf(healthy[0]!, 'new'), putOf(lost[0]!, 'new'), putOf(healthy[1]!, 'new')];
    expect(await codeOf(engine.batch(operations, true))).toBe('corrupt');
    expectRight(healthy);
    expect((await engine.batch(operations, false)).map(kindOf)).toEqual(['updated', 'corrupt', 'updated']);
    expect(await textOf(engine, healthy[1]!)).toBe('new');
  });

  it('keeps no other entries from expiring but those of the pages next to it', async () => {
    const { lost } = await breakLeaf(60_000);
    await put(engine, 'later', 'x', { expiry: { in: 120_000 } });
    const stored = () => engine['store'].entryCount();
    const sweptTo = async (most: number) => {
      const begun = Date.now();
      while (stored() > most && Date.now() - begun < LONGEST_SWEEP_MS)
        await new Promise((resolve) => setTimeout(resolve, 50));
      expect(stored()).toBeLessThanOrEqual(most);
    };
    time.advance(60_000);
    // A page of which little is left would be merged with the one next to it.
    await sweptTo(1 + 2 * lost.length);
    time.advance(60_000);
    await sweptTo(2 * lost.length);
    await put(engine, 'new', 'x');
  });

  it('is reported once for each key that needs it', async () => {
    const { lost } = await breakLeaf();
    for (let i = 0; i < 3; i++) for (const key of lost.slice(0, 2)) codeOfReading(key);
    expect(faults).toHaveLength(2);
    for (const i of [0, 1]) expect(faults[i]).toContain(lost[i]!);
  });
});

describe('a page that leads to the wrong page', () => {
  it('ends listings and scans with corrupt: they would lack entries unnoticed, or go round for ever', async () => {
    await fill();
    const file = new DataFile(join(folder, 'data.mdb'));
    const { nodes } = file.pagesOf('entries').find(({ isBranch }) => isBranch)!;
    file.misdirect(nodes[10]!, nodes[2]!);
    let after: string | undefined;
    const follow = async () => {
      do after = (await engine.range({ prefix: '', limit: 7, after })).next;
      while (after !== undefined);
    };
    expect(await codeOf(follow())).toBe('corrupt');
    for (const reverse of [false, true])
      expect(await codeOf((async () => engine.range({ prefix: '', limit: COUNT, reverse }))())).toBe(
        'corrupt',
      );
    expect(await codeOf(scanned(engine))).toBe('corrupt');
    expect(await codeOf(scanned(engine, 'k/'))).toBe('corrupt');
  });
});

describe('a segment of the change log that cannot be read', () => {
  it('stops no write, not even when it should leave a log that is full', async () => {
    await fill();
    const file = new DataFile(join(folder, 'data.mdb'));
    file.loseValue(file.pagesOf('log')[0]!.nodes[0]!);
    const codes: string[] = [];
    for (let i = 0; i < 30; i++) codes.push(await codeOf(put(engine, 'large', Buffer.alloc(60_000))));
    expect(codes.filter((code) => code !== 'not refused')).toEqual([]);
    expect(faults).toHaveLength(1);
  });
});

describe('a listener that throws', () => {
  it('is reported, and disturbs neither the commit nor other listeners', async () => {
    let called = 0;
    engine.onChange(() => {
      throw new Error('the listener is broken');
    });
    engine.onChange(() => called++);
    await put(engine, 'a', '1');
    await put(engine, 'a', '2');
    expect(await textOf(engine, 'a')).toBe('2');
    expect(called).toBe(2);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain('the listener is broken');
  });
});
