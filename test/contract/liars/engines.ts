import { DatabaseError } from '../../../src/errors.js';
import type { KeyRange } from '../../../src/storage/key-range.js';
import type { Entry } from '../../../src/storage/entry.js';
import { MemoryEngine } from '../../../src/storage/memory.engine.js';
import { MemoryRecords } from '../../../src/storage/memory-records.js';
import type { BatchOperation, Outcome } from '../../../src/storage/operation.js';
import type { ScanRange } from '../../../src/storage/storage-engine.js';
import { crossSlotLiars } from './cross-slot.js';
import { entriesOf, replacing, writing, type Liar } from './liar.js';

/** Engines in which one part lies. */
export const engineLiars: readonly Liar[] = [
  {
    lie: 'applies a write that had begun before the fence',
    caughtBy: 'of writes at the same time as a fence',
    make: writing(async (operation, honest, self) => {
      if (self.fence() !== undefined) return honest(operation);
      await new Promise(setImmediate);
      const place = self.fence();
      await self.setFence(undefined);
      const outcome = await honest(operation);
      await self.setFence(place);
      return outcome;
    }),
  },
  {
    lie: 'lets private records past the fence',
    caughtBy: 'refuses every write with where it has moved',
    make: replacing('system', () => new MemoryRecords(() => undefined)),
  },
  {
    lie: 'sweeps behind the fence',
    caughtBy: 'nothing is swept behind a fence',
    make: replacing('sweep', (engine) => {
      const honest = MemoryEngine.prototype['sweep'].bind(engine);
      return () => {
        const place = engine.fence();
        engine['place'] = undefined;
        honest();
        engine['place'] = place;
      };
    }),
  },
  {
    lie: 'starts its tags again after a restart',
    caughtBy: 'no tag is used again after a restart',
    make: replacing('epoch', () => 1),
  },
  {
    lie: 'shows expired entries until they are swept',
    caughtBy: 'every read shows an entry until it expires',
    make: replacing('live', () => (entry: Entry | undefined) => entry),
  },
  {
    lie: 'counts expired entries',
    caughtBy: 'every read shows an entry until it expires',
    make: replacing('count', (engine) => () => entriesOf(engine).size),
  },
  {
    lie: 'never sweeps',
    caughtBy: 'expired entries leave the store within seconds',
    make: replacing('open', () => async () => undefined),
  },
  {
    lie: 'sweeps by the first expiry of an entry',
    caughtBy: 'an entry whose expiry was changed',
    make: replacing('open', (engine) => async () => {
      const honest = engine.write.bind(engine);
      const times = new Map<string, number>();
      engine.write = async (operation) => {
        const outcome = await honest(operation);
        if ('entry' in outcome && !times.has(operation.key)) times.set(operation.key, outcome.entry.expires);
        for (const [key, time] of times)
          if (time !== 0 && time <= engine.now()) entriesOf(engine).delete(key);
        return outcome;
      };
      Reflect.set(engine, 'count', (range: KeyRange) => {
        for (const [key, time] of times)
          if (time !== 0 && time <= engine.now()) entriesOf(engine).delete(key);
        return MemoryEngine.prototype.count.call(engine, range);
      });
    }),
  },
  {
    lie: 'follows a clock that is set back',
    caughtBy: 'a clock that is set back brings no expired entry back',
    make: (clock) => new MemoryEngine(Object.assign(clock, { now: () => clock['wall']() })),
  },
  {
    lie: 'orders keys by UTF-16',
    caughtBy: 'ranges and scans go by the UTF-8 bytes',
    make: replacing('sorted', (engine) => (prefix: string, direction: number) => {
      const keys = [...entriesOf(engine).keys()].filter((key) => key.startsWith(prefix)).sort();
      if (direction < 0) keys.reverse();
      return keys.map((key) => entriesOf(engine).get(key)!);
    }),
  },
  {
    lie: 'applies the operations of a batch before the refused one',
    caughtBy: 'an atomic batch with a refused',
    make: replacing('batch', (engine) => async (operations: BatchOperation[], atomic: boolean) => {
      const outcomes = await MemoryEngine.prototype.batch.call(engine, operations, false);
      const refused = outcomes.findIndex((outcome) => outcome instanceof DatabaseError);
      if (!atomic || refused < 0) return outcomes;
      const { code, detail, context } = outcomes[refused] as DatabaseError;
      throw new DatabaseError(code, detail, { ...context, index: refused });
    }),
  },
  {
    lie: 'does not name the refused operation of a batch',
    caughtBy: 'an atomic batch with a refused',
    make: replacing('batch', (engine) => async (operations: BatchOperation[], atomic: boolean) => {
      try {
        return await MemoryEngine.prototype.batch.call(engine, operations, atomic);
      } catch (error) {
        throw new DatabaseError((error as DatabaseError).code, (error as DatabaseError).detail);
      }
    }),
  },
  ...crossSlotLiars,
  {
    lie: 'stops a pipeline at the first refusal',
    caughtBy: 'in a pipeline a refused operation has its error in its place',
    make: replacing('batch', (engine) => async (operations: BatchOperation[], atomic: boolean) => {
      const outcomes = await MemoryEngine.prototype.batch.call(engine, operations, atomic);
      const refused = outcomes.findIndex((outcome) => outcome instanceof DatabaseError);
      return refused < 0 ? outcomes : outcomes.slice(0, refused + 1);
    }),
  },
  {
    lie: 'shows other readers a batch in two halves',
    caughtBy: 'readers see an atomic batch whole',
    make: replacing('batch', (engine) => async (operations: BatchOperation[]) => {
      const outcomes: Outcome[] = [];
      for (const operation of operations) {
        outcomes.push(await engine.write(operation));
        await new Promise(setImmediate);
      }
      return outcomes;
    }),
  },
  {
    lie: 'leaks private records into ranges',
    caughtBy: 'no read of user keys shows a private record',
    make: replacing('system', (engine) => {
      const system = new MemoryRecords(() => undefined);
      const honest = system.put.bind(system);
      system.put = async (name: string, value: Buffer) => {
        await honest(name, value);
        await engine.write({ op: 'put', key: `system:${name}`, value, type: 'x/y', expiry: 'never' });
      };
      return system;
    }),
  },
  {
    lie: 'scans the current entries instead of one instant',
    caughtBy: 'a scan shows one instant',
    make: replacing(
      'scan',
      (engine) =>
        async function* ({ prefix }: ScanRange) {
          let after: string | undefined;
          do {
            const page = engine.range({ prefix, after, limit: 256, values: true });
            if (page.items.length > 0) yield page.items as Entry[];
            after = page.next;
          } while (after !== undefined);
        },
    ),
  },
  {
    lie: 'continues a scan by the number of entries it has shown',
    caughtBy: 'a scan while others write',
    make: replacing(
      'scan',
      (engine) =>
        async function* (range: ScanRange) {
          for (let shown = 0; ; shown += 256) {
            const chunk = engine['sorted'](range, 1).slice(shown, shown + 256);
            if (chunk.length === 0) return;
            yield chunk;
          }
        },
    ),
  },
  {
    lie: 'does not release the slot of a scan whose reader stops early',
    caughtBy: 'a scan whose reader stops early',
    make: replacing('scan', (engine) => {
      let slots = 16;
      return async function* (range: ScanRange) {
        if (slots === 0) throw new DatabaseError('busy', 'No slot is free.');
        slots--;
        yield* MemoryEngine.prototype.scan.call(engine, range);
        slots++;
      };
    }),
  },
  {
    lie: 'declares itself durable and is not',
    caughtBy: 'every entry is the same after a restart',
    make: replacing('capabilities', ({ capabilities }) => ({ ...capabilities, durable: true })),
  },
  {
    lie: 'drops the second half of a pipeline when it is closed',
    caughtBy: 'closing finishes the writes under way',
    make: (clock) => {
      const engine = new MemoryEngine(clock);
      const honest = engine.batch.bind(engine);
      let closed = false;
      engine.close = async () => void (closed = true);
      engine.batch = async (operations, atomic) => {
        const half = Math.ceil(operations.length / 2);
        const outcomes = await honest(operations.slice(0, half), atomic);
        await new Promise(setImmediate);
        if (closed) throw new DatabaseError('unavailable', 'Closed.');
        return [...outcomes, ...(await honest(operations.slice(half), atomic))];
      };
      return engine;
    },
  },
  {
    lie: 'drops the writes under way when it is closed',
    caughtBy: 'closing finishes the writes under way',
    make: (clock) => {
      const engine = new MemoryEngine(clock);
      const honest = engine.write.bind(engine);
      let closed = false;
      engine.close = async () => void (closed = true);
      engine.write = async (operation) => {
        await Promise.resolve();
        if (closed) throw new DatabaseError('unavailable', 'Closed.');
        return honest(operation);
      };
      return engine;
    },
  },
];
