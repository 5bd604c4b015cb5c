import { DatabaseError } from '../../../src/errors.js';
import { MemoryEngine } from '../../../src/storage/memory.engine.js';
import type { BatchOperation } from '../../../src/storage/operation.js';
import type { Liar } from './liar.js';

const CAUGHT = 'an atomic batch over other keys';

interface Slots {
  /** Returns the slot of a key. */
  readonly slotOf?: (key: string) => string;
  /** Runs before the refusal. */
  readonly before?: (engine: MemoryEngine, operations: readonly BatchOperation[]) => unknown;
  readonly refuse?: (keys: string[]) => DatabaseError;
}

const tagOf = (key: string) => /\{([^}]+)\}/.exec(key)?.[1] ?? key;

/** Creates an engine that declares it cannot apply batches over any keys, and refuses them in its own way. */
function refusing({ slotOf = tagOf, before, refuse = crossSlot }: Slots): Liar['make'] {
  return (clock) => {
    const engine = new MemoryEngine(clock);
    engine.capabilities.atomicAcrossKeys = false;
    const honest = engine.batch.bind(engine);
    engine.batch = async (operations, atomic, maxBytes) => {
      const keys = [...new Set(operations.map(({ key }) => key))];
      if (!atomic || new Set(keys.map(slotOf)).size <= 1) return honest(operations, atomic, maxBytes);
      await before?.(engine, operations);
      throw refuse(keys);
    };
    return engine;
  };
}

function crossSlot(keys: string[]): DatabaseError {
  return new DatabaseError('cross-slot', 'Different slots.', { keys });
}

/** Engines that lie about which batches they can apply atomically. */
export const crossSlotLiars: readonly Liar[] = [
  {
    lie: 'declares that it cannot apply batches over any keys, and applies them',
    caughtBy: CAUGHT,
    make: refusing({ slotOf: () => '' }),
  },
  {
    lie: 'declares that it can apply batches over any keys, and refuses them',
    caughtBy: CAUGHT,
    make: (clock) => {
      const engine = refusing({})(clock);
      engine.capabilities.atomicAcrossKeys = true;
      return engine;
    },
  },
  {
    lie: 'refuses a batch over several slots after applying a part',
    caughtBy: CAUGHT,
    make: refusing({ before: (engine, [first]) => engine.write(first!) }),
  },
  {
    lie: 'refuses a batch over several slots without naming the keys',
    caughtBy: CAUGHT,
    make: refusing({ refuse: () => new DatabaseError('cross-slot', 'Different slots.') }),
  },
  {
    lie: 'puts all keys without a complete {tag} into one slot',
    caughtBy: CAUGHT,
    make: refusing({ slotOf: (key) => (key.includes('{t}') || !key.startsWith('{') ? tagOf(key) : '') }),
  },
  {
    lie: 'ignores a {tag}',
    caughtBy: 'an atomic batch over keys that share a {tag}',
    make: refusing({ slotOf: (key) => key }),
  },
];
