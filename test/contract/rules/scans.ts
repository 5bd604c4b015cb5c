import { expect } from '@jest/globals';
import { inByteOrder, keysScanned, put, putOf, scanned, textOf } from '../shorthand.js';
import type { Fixture, Rule } from '../rule.js';

const MANY = 3000;
const name = (i: number) => `k${String(i).padStart(5, '0')}`;

async function fill({ engine }: Fixture): Promise<void> {
  await engine.batch(
    Array.from({ length: MANY }, (_, i) => putOf(name(i), `old ${i}`)),
    false,
  );
}

/** Scans: complete, in order, from one instant, and released at their end. */
export const scanRules: readonly Rule[] = [
  {
    rule: 'a scan visits every key of its prefix once, in order, with its value',
    async run(fixture) {
      await fill(fixture);
      await put(fixture.engine, 'j', '');
      await put(fixture.engine, 'l', '');
      const entries = await scanned(fixture.engine, 'k');
      expect(entries.map(({ key }) => key)).toEqual(Array.from({ length: MANY }, (_, i) => name(i)));
      for (const [i, entry] of entries.entries()) expect(entry.value.toString()).toBe(`old ${i}`);
      expect(await keysScanned(fixture.engine, 'k0000')).toEqual(
        inByteOrder([...Array(10).keys()].map(name)),
      );
      expect(await keysScanned(fixture.engine)).toHaveLength(MANY + 2);
    },
  },
  {
    rule: 'a scan returns chunks of one to some hundred entries',
    async run(fixture) {
      await fill(fixture);
      const sizes: number[] = [];
      for await (const chunk of fixture.engine.scan({ prefix: '', values: true })) sizes.push(chunk.length);
      expect(sizes.length).toBeGreaterThan(2);
      expect(Math.min(...sizes)).toBeGreaterThan(0);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(1000);
    },
  },
  {
    rule: 'a scan shows one instant, whatever is written meanwhile',
    needs: 'snapshots',
    async run(fixture) {
      await fill(fixture);
      const { engine } = fixture;
      const seen: string[] = [];
      let first = true;
      for await (const chunk of engine.scan({ prefix: '', values: true })) {
        if (first) {
          await put(engine, name(MANY - 1), 'new');
          await put(engine, `${name(MANY - 1)}+`, 'new');
          await engine.write({ op: 'delete', key: name(MANY - 2) });
          await engine.batch([putOf(name(MANY - 3), 'new'), { op: 'delete', key: name(MANY - 4) }], true);
        }
        first = false;
        seen.push(...chunk.map(({ value }) => value.toString()));
      }
      expect(seen).toEqual(Array.from({ length: MANY }, (_, i) => `old ${i}`));
      expect(await textOf(engine, name(MANY - 1))).toBe('new');
    },
  },
  {
    rule: 'what expires during a scan does not shorten it',
    needs: 'snapshots',
    async run({ engine, time }) {
      const puts = Array.from({ length: MANY }, (_, i) => putOf(name(i), 'x', { expiry: { in: 1000 } }));
      await engine.batch(puts, false);
      let count = 0;
      for await (const chunk of engine.scan({ prefix: '', values: false })) {
        count += chunk.length;
        time.advance(1000);
      }
      expect(count).toBe(MANY);
    },
  },
  {
    rule: 'a scan while others write shows unchanged entries once, changed ones old or new, and all in order',
    async run(fixture) {
      await fill(fixture);
      const { engine } = fixture;
      const seen: { key: string; text: string }[] = [];
      for await (const chunk of engine.scan({ prefix: '', values: true })) {
        seen.push(...chunk.map(({ key, value }) => ({ key, text: value.toString() })));
        const changes = Array.from({ length: MANY }, (_, i) => [
          ...(i % 10 === 3 ? [putOf(name(i), `new ${i}`)] : []),
          ...(i % 10 === 6 ? [{ op: 'delete', key: name(i) } as const] : []),
          ...(i > MANY / 2 ? [putOf(`${name(i)}+`, 'new')] : []),
        ]);
        await engine.batch(changes.flat(), false);
      }
      const keys = seen.map(({ key }) => key);
      expect(keys).toEqual(inByteOrder([...new Set(keys)]));
      const texts = new Map(seen.map(({ key, text }) => [key, text]));
      for (let i = 0; i < MANY; i++) {
        const allowed = i % 10 === 3 ? ['old', 'new'] : i % 10 === 6 ? ['old', undefined] : ['old'];
        expect(allowed).toContain(texts.get(name(i))?.replace(` ${i}`, ''));
      }
    },
  },
  {
    rule: 'the instant of a scan is the start of its iteration',
    needs: 'snapshots',
    async run({ engine }) {
      await put(engine, 'a', 'x');
      const scan = engine.scan({ prefix: '', values: true });
      await put(engine, 'b', 'y');
      const keys: string[] = [];
      for await (const chunk of scan) keys.push(...chunk.map(({ key }) => key));
      expect(keys).toEqual(['a', 'b']);
    },
  },
  {
    rule: 'a scan whose reader stops early or throws is released, and one that never starts takes no slot',
    async run(fixture) {
      await fill(fixture);
      const { engine } = fixture;
      for (let i = 0; i < 100; i++) {
        engine.scan({ prefix: '', values: true });
        for await (const chunk of engine.scan({ prefix: '', values: true })) if (chunk.length > 0) break;
        const thrown = (async () => {
          for await (const _ of engine.scan({ prefix: '', values: true })) throw new Error('reader');
        })();
        await expect(thrown).rejects.toThrow('reader');
      }
      expect(await keysScanned(engine)).toHaveLength(MANY);
    },
  },
  {
    rule: 'concurrent scans do not disturb each other, nor other reads and writes',
    async run(fixture) {
      await fill(fixture);
      const { engine } = fixture;
      const scans = Array.from({ length: 8 }, async (_, i) => {
        let count = 0;
        for await (const chunk of engine.scan({ prefix: '', values: true })) {
          count += chunk.filter(({ key }) => key.startsWith('k')).length;
          await put(engine, `z${i}`, 'x');
          expect(await textOf(engine, name(i))).toBe(`old ${i}`);
        }
        return count;
      });
      expect(await Promise.all(scans)).toEqual(Array.from({ length: 8 }, () => MANY));
    },
  },
  {
    rule: 'a scan returns large values whole',
    async run({ engine }) {
      const big = Buffer.alloc(4 * 2 ** 20, 'v');
      for (const key of ['a', 'b', 'c']) await put(engine, key, big);
      const entries = await scanned(engine);
      expect(entries.map(({ key }) => key)).toEqual(['a', 'b', 'c']);
      for (const { value } of entries) expect(value.equals(big)).toBe(true);
    },
  },
];
