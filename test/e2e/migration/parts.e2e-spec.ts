import { describe, expect, test } from '@jest/globals';
import { ChangedKeys } from '../../../src/migration/changed-keys.js';
import { compare, type Comparison } from '../../../src/migration/comparison.js';
import { Copier } from '../../../src/migration/copier.js';
import { Retry } from '../../../src/migration/retry.js';
import { DatabaseError, type ErrorCode } from '../../../src/errors.js';
import { TEXT } from '../../../src/storage/entry.js';
import { compareKeys } from '../../../src/storage/key-range.js';
import { MemoryEngine } from '../../../src/storage/memory.engine.js';
import type { BatchOperation } from '../../../src/storage/operation.js';
import type { LogPage } from '../../../src/storage/storage-engine.js';
import { countOf } from '../../contract/shorthand.js';
import { FakeTime } from '../../support/fake-time.js';
import { Random } from '../../support/random.js';

const NEVER = new AbortController().signal;

interface Found extends Comparison {
  /** Key → the value that it must become; undefined if it must be absent. */
  readonly differing: Map<string, string | undefined>;
}

async function compared(original: MemoryEngine, copy: MemoryEngine, frozen: boolean): Promise<Found> {
  const differing = new Map<string, string | undefined>();
  const comparison = await compare(original, copy, {
    frozen,
    onDifference: (key, entry) => void differing.set(key, entry?.value.toString()),
    onProgress: () => undefined,
    signal: NEVER,
  });
  return { ...comparison, differing };
}

function put(engine: MemoryEngine, key: string, value = 'v', type = TEXT, expires = 0): Promise<unknown> {
  const expiry = expires === 0 ? 'never' : { at: expires };
  return engine.write({ op: 'put', key, value: Buffer.from(value), type, expiry });
}

describe.each([true, false])('two databases that are compared, frozen: %s,', (frozen) => {
  test('differ in value, type, expiry and in what only one of them has', async () => {
    const [original, copy] = [new MemoryEngine(), new MemoryEngine()];
    const later = Date.now() + 1e6;
    for (const engine of [original, copy]) {
      await put(engine, 'same');
      await put(engine, 'same too', 'x', 'image/png', later);
    }
    await put(original, 'expiry', 'v', TEXT, later);
    await put(copy, 'expiry', 'v', TEXT, later + 1);
    await put(original, 'forever');
    await put(copy, 'forever', 'v', TEXT, later);
    await put(original, 'missing');
    await put(copy, 'surplus');
    await put(original, 'type', 'v', 'a/b');
    await put(copy, 'type');
    await put(original, 'value', 'new');
    await put(copy, 'value', 'old');
    const { differing, entries, differences } = await compared(original, copy, frozen);
    expect([...differing]).toEqual([
      ['expiry', 'v'],
      ['forever', 'v'],
      ['missing', 'v'],
      ['surplus', undefined],
      ['type', 'v'],
      ['value', 'new'],
    ]);
    expect({ entries, differences }).toEqual({ entries: 7, differences: 6 });
  });

  test.each([
    ['original', 0, 5_000],
    ['copy', 5_000, 0],
  ])('do not differ in what has expired for one of them only, here not for the %s', async (_which, a, b) => {
    const [early, late] = [new FakeTime(), new FakeTime()];
    const [original, copy] = [new MemoryEngine(early.clock()), new MemoryEngine(late.clock())];
    for (const engine of [original, copy]) {
      for (const key of ['a', 'b', 'c']) await put(engine, key, 'v', TEXT, early.wall + 1_000);
      await put(engine, 'stays');
    }
    early.advance(a);
    late.advance(b);
    const { differing, sha256 } = await compared(original, copy, frozen);
    expect(differing.size).toBe(0);
    const bare = new MemoryEngine();
    await put(bare, 'stays');
    expect(sha256).toBe((await compared(bare, bare, frozen)).sha256);
  });

  test('become the same by the differences that are found, whatever they hold', async () => {
    const random = new Random(7);
    const alphabet = ['a', 'b', '/', '\0', '\u{ffff}', '😀', 'é'];
    const [original, copy] = [new MemoryEngine(), new MemoryEngine()];
    for (let i = 0; i < 4_000; i++) {
      const key = `k${random.text(alphabet, 6)}`;
      const engine = random.pick([original, copy]);
      await put(engine, key, random.pick(['x', 'y']));
    }
    const { differing, entries } = await compared(original, copy, frozen);
    expect([...differing.keys()]).toEqual([...differing.keys()].toSorted(compareKeys));
    expect(entries).toBe(await countOf(original, { prefix: '' }));
    for (const [key, value] of differing)
      await (value === undefined ? copy.write({ op: 'delete', key }) : put(copy, key, value));
    const after = await compared(original, copy, frozen);
    expect(after.differing.size).toBe(0);
    expect((await compared(copy, original, frozen)).sha256).toBe(after.sha256);
  });
});

test('a comparison can be interrupted', async () => {
  const engine = new MemoryEngine();
  await put(engine, 'a');
  const interrupt = new AbortController();
  const options = {
    frozen: true,
    onDifference: () => {
      interrupt.abort();
      return undefined;
    },
    onProgress: () => undefined,
    signal: interrupt.signal,
  };
  await expect(compare(engine, new MemoryEngine(), options)).rejects.toThrow('aborted');
});

/** Fails the batches of these numbers, each with this code. */
class Failing extends MemoryEngine {
  batches = 0;

  constructor(private readonly failures: ReadonlyMap<number, ErrorCode>) {
    super();
  }

  override async batch(operations: readonly BatchOperation[], atomic: boolean) {
    const code = this.failures.get(this.batches++);
    if (code) throw new DatabaseError(code, 'It failed.');
    return super.batch(operations, atomic);
  }
}

async function copy(target: MemoryEngine, keys: number, lines: string[] = []): Promise<void> {
  const copier = new Copier(target, new Retry((line) => lines.push(line), NEVER));
  for (let i = 0; i < keys; i++) await copier.add(`${i}`, undefined);
  await copier.finish();
}

describe('a target', () => {
  test('that refuses a batch between two others ends the copy, and gets no more batches', async () => {
    const target = new Failing(new Map([[1, 'disk-full']]));
    await expect(copy(target, 10_000)).rejects.toThrow(
      'It failed. The copy is not finished; the same command goes on where this one stopped.',
    );
    expect(target.batches).toBeLessThan(10);
  });

  test('that is unavailable for a moment gets the batch again, and the user one line', async () => {
    const codes: ErrorCode[] = ['unavailable', 'outcome-unknown', 'busy'];
    const target = new Failing(new Map(codes.map((code, i) => [i, code])));
    const lines: string[] = [];
    await copy(target, 10, lines);
    expect(target.batches).toBe(4);
    expect(lines).toEqual(['A database does not answer; trying again for 60 s.']);
  });
});

/** Its log grows faster than it can be read. */
class Busy extends MemoryEngine {
  private written = 0;

  override changes(): LogPage {
    const key = `k${this.written++}`;
    return { changes: [{ position: key, kind: 'delete', key, etag: key, time: 0 }], position: key };
  }
}

test('a change log without an end is read for a moment, and its keys so far are known', async () => {
  const changed = new ChangedKeys(new Busy());
  await changed.start();
  expect(await changed.read()).toBe(false);
  expect(changed.take().size).toBeGreaterThan(0);
  changed.stop();
});
