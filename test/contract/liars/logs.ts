import type { Entry } from '../../../src/storage/entry.js';
import { compareKeys } from '../../../src/storage/key-range.js';
import { MemoryEngine } from '../../../src/storage/memory.engine.js';
import type { Change } from '../../../src/storage/storage-engine.js';
import { replacing, type Liar } from './liar.js';

/** Creates an engine whose log goes through `lie` when it is read. */
function logging(lie: (changes: Change[], position: string, engine: MemoryEngine) => unknown): Liar['make'] {
  return replacing('changes', (engine) => (position: string) => {
    const page = MemoryEngine.prototype.changes.call(engine, position);
    return page && { ...page, changes: lie([...page.changes], position, engine) };
  });
}

const EVERY_CHANGE = 'the log has every change once';

/** Engines whose change log lies. */
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
    lie: 'logs the changes of each key in order, and those of all keys in another',
    caughtBy: 'the log has the changes of all keys in the order of the commits',
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
    lie: 'forgets who made a change',
    caughtBy: 'the log says who put',
    make: logging((changes) => changes.map((change) => ({ ...change, by: undefined }))),
  },
  {
    lie: 'takes the first of a batch for everybody',
    caughtBy: 'the log says of each operation of a batch who asked for it',
    make: logging((changes) => changes.map((change) => ({ ...change, by: changes[0]!.by }))),
  },
  {
    lie: 'says that an expiry was made by who put the entry',
    caughtBy: 'an expiry is nobody’s',
    make: replacing('logChange', (engine) => {
      const honest = engine['logChange'].bind(engine);
      return (kind: Change['kind'], key: string, time: number, by?: string, entry?: Entry) => {
        const last = engine['log'].changes.findLast((change) => change.key === key);
        honest(kind, key, time, kind === 'expire' ? last?.by : by, entry);
      };
    }),
  },
  {
    lie: 'logs the time at which it is asked',
    caughtBy: 'the log says when each change was made',
    make: logging((changes, _position, engine) =>
      changes.map((change) => ({ ...change, time: engine.now() })),
    ),
  },
  {
    lie: 'logs an expiry with the time at which the entry ended',
    caughtBy: 'the time never runs backwards in the log',
    make: replacing('logChange', (engine) => {
      const honest = engine['logChange'].bind(engine);
      return (kind: Change['kind'], key: string, time: number, by?: string, entry?: Entry) => {
        const last = engine['log'].changes.findLast((change) => change.key === key);
        honest(kind, key, kind === 'expire' ? last!.entry!.expires : time, by, entry);
      };
    }),
  },
  {
    lie: 'logs puts without their values',
    caughtBy: 'a logged change has the entry, its value and its tag',
    make: logging((changes) => changes.map((change) => ({ ...change, value: undefined }))),
  },
  {
    lie: 'logs an empty value as no value',
    caughtBy: 'the log keeps an empty value',
    make: logging((changes) =>
      changes.map((change) => ({ ...change, value: change.value?.length ? change.value : undefined })),
    ),
  },
  {
    lie: 'logs the changes of a batch that was rolled back',
    caughtBy: 'refused operations and those that change nothing are not in the log',
    make: replacing('batch', (engine) => async (...args: Parameters<MemoryEngine['batch']>) => {
      const honest = MemoryEngine.prototype.batch.bind(engine);
      const logged = [...engine['log'].changes];
      const note = engine['logChange'].bind(engine);
      Reflect.set(engine, 'logChange', (...its: Parameters<typeof note>) => {
        note(...its);
        logged.push(engine['log'].changes.at(-1)!);
      });
      try {
        return await honest(...args);
      } finally {
        Reflect.set(engine, 'logChange', note);
        engine['log'].changes.splice(0, Infinity, ...logged);
      }
    }),
  },
  {
    lie: 'repeats the change at the position that it continues from',
    caughtBy: 'from every position the log continues',
    make: logging((changes, position, engine) => {
      const at = engine['log'].changes.findIndex((change) => change.position === position);
      return changes.length > 0 && at >= 0 ? engine['log'].changes.slice(at) : changes;
    }),
  },
  {
    lie: 'returns no changes for a position that it cannot serve',
    caughtBy: 'a position that is garbage',
    make: replacing(
      'changes',
      (engine) => (position: string) => MemoryEngine.prototype.changes.call(engine, position) ?? [],
    ),
  },
  {
    lie: 'ignores characters after a position',
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
    make: replacing('log', (engine) => Object.assign(engine['log'], { bytes: -Infinity })),
  },
  {
    lie: 'covers everything',
    caughtBy: 'covers is true of exactly the changes up to a position',
    make: replacing('covers', () => () => true),
  },
  {
    lie: 'shows the oldest changes for the newest',
    caughtBy: 'the newest changes come first',
    make: replacing(
      'newestChanges',
      (engine) => (limit: number, prefix: string) =>
        MemoryEngine.prototype.newestChanges.call(engine, Infinity, prefix).slice(-limit),
    ),
  },
  {
    lie: 'shows the newest changes of all keys for those of a prefix',
    caughtBy: 'the newest changes of a prefix',
    make: replacing(
      'newestChanges',
      (engine) => (limit: number) => MemoryEngine.prototype.newestChanges.call(engine, limit, ''),
    ),
  },
  {
    lie: 'never calls its listeners',
    caughtBy: 'listeners are called after a change',
    make: replacing('onChange', () => () => () => undefined),
  },
  {
    lie: 'returns a page with an earlier position than the page shows',
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
