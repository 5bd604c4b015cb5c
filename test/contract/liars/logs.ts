import { compareKeys } from '../../../src/storage/key-range.js';
import { MemoryEngine } from '../../../src/storage/memory.engine.js';
import type { Change } from '../../../src/storage/storage-engine.js';
import { replacing, type Liar } from './liar.js';

/** An engine whose change log goes through `lie` when it is read. */
function logging(lie: (changes: Change[], position: string, engine: MemoryEngine) => unknown): Liar['make'] {
  return replacing('changes', (engine) => (position: string) => {
    const changes = MemoryEngine.prototype.changes.call(engine, position);
    return changes && lie(changes, position, engine);
  });
}

const EVERY_CHANGE = 'the log has every change once';

/** Engines that lie in their change log. */
export const logLiars: readonly Liar[] = [
  {
    lie: 'loses a delete from its log',
    caughtBy: EVERY_CHANGE,
    make: logging((changes) => changes.filter(({ kind }) => kind !== 'delete')),
  },
  {
    lie: 'logs out of order',
    caughtBy: EVERY_CHANGE,
    make: logging((changes) => changes.toSorted((a, b) => a.key.localeCompare(b.key) || -1)),
  },
  {
    lie: 'logs each key in order, and the keys in another',
    caughtBy: 'changes of all keys are in the log in one order',
    make: logging((changes) => changes.toSorted((a, b) => compareKeys(a.key, b.key))),
  },
  {
    lie: 'logs a change twice',
    caughtBy: EVERY_CHANGE,
    make: logging((changes) => changes.flatMap((change, i) => (i === 0 ? [change, change] : [change]))),
  },
  {
    lie: 'does not log expiries',
    caughtBy: 'an expiry is in the log once',
    make: logging((changes) => changes.filter(({ kind }) => kind !== 'expire')),
  },
  {
    lie: 'logs puts without their values',
    caughtBy: 'a change in the log is the whole change',
    make: logging((changes) => changes.map((change) => ({ ...change, value: undefined }))),
  },
  {
    lie: 'logs an empty value as none',
    caughtBy: 'an empty value is in the log',
    make: logging((changes) =>
      changes.map((change) => ({ ...change, value: change.value?.length ? change.value : undefined })),
    ),
  },
  {
    lie: 'logs what a batch took back',
    caughtBy: 'what is refused and what changes nothing is not in the log',
    make: replacing('batch', (engine) => async (...args: Parameters<MemoryEngine['batch']>) => {
      const honest = MemoryEngine.prototype.batch.bind(engine);
      const logged = [...engine['log']];
      const note = engine['note'].bind(engine);
      Reflect.set(engine, 'note', (...its: Parameters<typeof note>) => {
        note(...its);
        logged.push(engine['log'].at(-1)!);
      });
      try {
        return await honest(...args);
      } finally {
        Reflect.set(engine, 'note', note);
        engine['log'].splice(0, Infinity, ...logged);
      }
    }),
  },
  {
    lie: 'repeats the change at the position it is asked to go on behind',
    caughtBy: 'a reader goes on exactly behind every position',
    make: logging((changes, position, engine) => {
      const at = engine['log'].findIndex((change) => change.position === position);
      return changes.length > 0 && at >= 0 ? engine['log'].slice(at) : changes;
    }),
  },
  {
    lie: 'answers nothing where it cannot serve a position',
    caughtBy: 'a position that is garbage',
    make: replacing(
      'changes',
      (engine) => (position: string) => MemoryEngine.prototype.changes.call(engine, position) ?? [],
    ),
  },
  {
    lie: 'overlooks what stands behind a position',
    caughtBy: 'a position that is garbage',
    make: replacing(
      'changes',
      (engine) => (position: string) =>
        MemoryEngine.prototype.changes.call(engine, position.slice(0, engine.position().length)),
    ),
  },
  {
    lie: 'breaks when it cannot read a position',
    caughtBy: 'a position with one character changed',
    make: replacing('changes', (engine) => (position: string) => {
      if (/[^0-9a-f-]/.test(position)) throw new TypeError('no number');
      return MemoryEngine.prototype.changes.call(engine, position);
    }),
  },
  {
    lie: 'lets its log grow for ever',
    caughtBy: 'the log is bounded',
    make: replacing('logBytes', () => -Infinity),
  },
  {
    lie: 'covers everything',
    caughtBy: 'covers tells what a position shows',
    make: replacing('covers', () => () => true),
  },
  {
    lie: 'never calls its listeners',
    caughtBy: 'listeners are called after a change',
    make: replacing('onChange', () => () => () => undefined),
  },
  {
    lie: 'says of a page that it shows less than it does',
    caughtBy: 'pages and the log from their positions have no gap',
    make: replacing('range', (engine) => {
      let before = engine.position();
      return (query: Parameters<MemoryEngine['range']>[0]) => {
        const position = before;
        before = engine.position();
        return { ...MemoryEngine.prototype.range.call(engine, query), position };
      };
    }),
  },
];
