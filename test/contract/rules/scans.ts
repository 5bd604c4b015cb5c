import { expect } from '@jest/globals';
import { inByteOrder, keysScanned, put, putOf, scanned, textOf } from '../shorthand.js';
import type { Rule, World } from '../rule.js';

const MANY = 3000;
const name = (i: number) => `k${String(i).padStart(5, '0')}`;

async function fill({ engine }: World): Promise<void> {
  await engine.batch(
    Array.from({ length: MANY }, (_, i) => putOf(name(i), `old ${i}`)),
    false,
  );
}

/** Scans: whole, in order, from one instant, and they give back what they hold. */
export const scanRules: readonly Rule[] = [
  {
    rule: 'a scan visits every key of its prefix once, in order, with its value',
    async run(world) {
      await fill(world);
      await put(world.engine, 'j', '');
      await put(world.engine, 'l', '');
      const entries = await scanned(world.engine, 'k');
      expect(entries.map(({ key }) => key)).toEqual(Array.from({ length: MANY }, (_, i) => name(i)));
      for (const [i, entry] of entries.entries()) expect(entry.value.toString()).toBe(`old ${i}`);
      expect(await keysScanned(world.engine, 'k0000')).toEqual(inByteOrder([...Array(10).keys()].map(name)));
      expect(await keysScanned(world.engine)).toHaveLength(MANY + 2);
    },
  },
  {
    rule: 'a scan comes in chunks, none of them empty or of more than some hundred entries',
    async run(world) {
      await fill(world);
      const sizes: number[] = [];
      for await (const chunk of world.engine.scan({ prefix: '', values: true })) sizes.push(chunk.length);
      expect(sizes.length).toBeGreaterThan(2);
      expect(Math.min(...sizes)).toBeGreaterThan(0);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(1000);
    },
  },
  {
    rule: 'a scan shows one instant: nothing written meanwhile, all that was there',
    needs: 'snapshots',
    async run(world) {
      await fill(world);
      const { engine } = world;
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
    rule: 'a scan while others write shows what stays once, what changes old or new, and all of it in order',
    async run(world) {
      await fill(world);
      const { engine } = world;
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
    rule: 'a reader that stops early, or throws, gives its place back; one that never starts takes none',
    async run(world) {
      await fill(world);
      const { engine } = world;
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
    rule: 'several scans at once do not disturb each other, nor other reads and writes',
    async run(world) {
      await fill(world);
      const { engine } = world;
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
    rule: 'values as big as they may be come through a scan whole',
    async run({ engine }) {
      const big = Buffer.alloc(4 * 2 ** 20, 'v');
      for (const key of ['a', 'b', 'c']) await put(engine, key, big);
      const entries = await scanned(engine);
      expect(entries.map(({ key }) => key)).toEqual(['a', 'b', 'c']);
      for (const { value } of entries) expect(value.equals(big)).toBe(true);
    },
  },
];
