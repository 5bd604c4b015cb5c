import type { Clock } from '../../../src/storage/clock.js';
import type { Entry } from '../../../src/storage/entry.js';
import { MemoryEngine } from '../../../src/storage/memory.engine.js';
import type { Operation, Outcome } from '../../../src/storage/operation.js';
import type { RangePage, RangeQuery } from '../../../src/storage/storage-engine.js';

export interface Liar {
  /** What the engine does wrong. */
  readonly lie: string;
  /** A part of the name of the rule that has to catch it. */
  readonly caughtBy: string;
  readonly make: (clock: Clock) => MemoryEngine;
}

export type Write = (
  operation: Operation,
  honest: MemoryEngine['write'],
  self: MemoryEngine,
) => Promise<Outcome>;

/** Creates an engine whose writes go through `lie`. */
export function writing(lie: Write): Liar['make'] {
  return (clock) => {
    const engine = new MemoryEngine(clock);
    const honest = engine.write.bind(engine);
    engine.write = (operation) => lie(operation, honest, engine);
    return engine;
  };
}

/** Creates an engine whose pages go through `lie`. */
export function paging(
  lie: (query: RangeQuery, honest: (query: RangeQuery) => RangePage) => RangePage,
): Liar['make'] {
  return (clock) => {
    const engine = new MemoryEngine(clock);
    const honest = engine.range.bind(engine);
    engine.range = (query) => lie(query, honest);
    return engine;
  };
}

/** Creates an engine with one member replaced, which may be private. */
export function replacing(part: string, lie: (engine: MemoryEngine) => unknown): Liar['make'] {
  return (clock) => {
    const engine = new MemoryEngine(clock);
    Reflect.set(engine, part, lie(engine));
    return engine;
  };
}

export function entriesOf(engine: MemoryEngine): Map<string, Entry> {
  return engine['entries'];
}

export function changed(outcome: Outcome, change: Partial<Entry>): Outcome {
  return 'entry' in outcome ? { ...outcome, entry: { ...outcome.entry, ...change } } : outcome;
}
