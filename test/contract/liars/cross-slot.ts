import { DatabaseError } from '../../../src/errors.js';
import { MemoryEngine } from '../../../src/storage/memory.engine.js';
import type { BatchOperation } from '../../../src/storage/operation.js';
import type { Liar } from './liar.js';

const CAUGHT = 'an atomic batch over other keys';

interface Slots {
  /** What decides whether keys lie together. */
  readonly slotOf?: (key: string) => string;
  /** Done before the refusal. */
  readonly before?: (engine: MemoryEngine, operations: readonly BatchOperation[]) => unknown;
  readonly refuse?: (keys: string[]) => DatabaseError;
}

const tagOf = (key: string) => /\{([^}]+)\}/.exec(key)?.[1] ?? key;

/** An engine that says it cannot do batches over any keys, and refuses them in its own way. */
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
  return new DatabaseError('cross-slot', 'Not together.', { keys });
}

/** Engines that lie about which batches they can do as one. */
export const crossSlotLiars: readonly Liar[] = [
  {
    lie: 'says that it cannot do batches over any keys, and does them',
    caughtBy: CAUGHT,
    make: refusing({ slotOf: () => '' }),
  },
  {
    lie: 'says that it can do batches over any keys, and refuses them',
    caughtBy: CAUGHT,
    make: (clock) => {
      const engine = refusing({})(clock);
      engine.capabilities.atomicAcrossKeys = true;
      return engine;
    },
  },
  {
    lie: 'refuses a batch over several slots when it has done a part',
    caughtBy: CAUGHT,
    make: refusing({ before: (engine, [first]) => engine.write(first!) }),
  },
  {
    lie: 'refuses a batch over several slots without naming the keys',
    caughtBy: CAUGHT,
    make: refusing({ refuse: () => new DatabaseError('cross-slot', 'Not together.') }),
  },
  {
    lie: 'lets keys without a whole {tag} count as one slot',
    caughtBy: CAUGHT,
    make: refusing({ slotOf: (key) => (key.includes('{t}') || !key.startsWith('{') ? tagOf(key) : '') }),
  },
  {
    lie: 'takes no notice of a {tag}',
    caughtBy: 'an atomic batch over keys that share a {tag}',
    make: refusing({ slotOf: (key) => key }),
  },
];
