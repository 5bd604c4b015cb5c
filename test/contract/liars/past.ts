import { MemoryEngine } from '../../../src/storage/memory.engine.js';
import type { HistoryPage, Moment, Past, SinceThen, Version } from '../../../src/storage/past.js';
import { replacing, type Liar } from './liar.js';

/** Creates an engine of which some reads of the past are others. */
function remembering(lie: (honest: Past, engine: MemoryEngine) => Partial<Past>): Liar['make'] {
  return replacing('past', (engine) => {
    const { past } = engine;
    const honest: Past = {
      find: (name) => past.find(name),
      history: (key, query) => past.history(key, query),
      version: (key, moment) => past.version(key, moment),
      since: (range, moment) => past.since(range, moment),
    };
    return { ...honest, ...lie(honest, engine) };
  });
}

function showing(lie: (page: HistoryPage) => Partial<HistoryPage>): Liar['make'] {
  return remembering((honest) => ({
    history: async (key, query) => {
      const page = await honest.history(key, query);
      return page && { ...page, ...lie(page) };
    },
  }));
}

function versions(lie: (version: Version, moment: Moment) => Partial<Version>): Liar['make'] {
  return remembering((honest) => ({
    version: async (key, moment) => {
      const version = await honest.version(key, moment);
      return { ...version, ...lie(version, moment) };
    },
  }));
}

function sinceThen(lie: (part: SinceThen) => SinceThen): Liar['make'] {
  return remembering((honest) => ({
    async *since(range, moment) {
      for await (const part of honest.since(range, moment)) yield lie(part);
    },
  }));
}

const HISTORY = 'the history of a key has every change of it';
const AT_TAG = 'every key is at every tag what the log says up to it';
const AT_TIME = 'every key is at every time what a reader saw then';
const SINCE = 'since a moment each key has changed or not';

/** Engines that lie about the past. */
export const pastLiars: readonly Liar[] = [
  {
    lie: 'leaves deletes out of a history',
    caughtBy: HISTORY,
    make: showing(({ changes }) => ({ changes: changes.filter(({ kind }) => kind !== 'delete') })),
  },
  {
    lie: 'shows a history oldest first',
    caughtBy: HISTORY,
    make: showing(({ changes }) => ({ changes: changes.toReversed() })),
  },
  {
    lie: 'forgets in a history who made a change',
    caughtBy: HISTORY,
    make: showing(({ changes }) => ({ changes: changes.map((change) => ({ ...change, by: undefined })) })),
  },
  {
    lie: 'says that a history from the beginning is cut',
    caughtBy: HISTORY,
    make: showing(() => ({ isCut: true })),
  },
  {
    lie: 'ends a history at a page',
    caughtBy: 'pages of a history follow each other',
    make: showing(() => ({ next: undefined })),
  },
  {
    lie: 'repeats the change after which a page goes on',
    caughtBy: 'pages of a history follow each other',
    make: remembering((honest) => ({
      history: async (key, query) => {
        const page = await honest.history(key, query);
        const whole = await honest.history(key, { limit: 1000 });
        const last = whole?.changes.find(({ etag }) => etag === query.after);
        return page && last ? { ...page, changes: [last, ...page.changes] } : page;
      },
    })),
  },
  {
    lie: 'does not bound the values of a page',
    caughtBy: 'a page of a history ends after so many bytes',
    make: remembering((honest) => ({
      history: (key, { after, limit }) => honest.history(key, { after, limit }),
    })),
  },
  {
    lie: 'shows the present in place of the past',
    caughtBy: AT_TAG,
    make: remembering((honest, engine) => ({
      version: (key) =>
        honest.version(key, { position: engine.position(), time: undefined, isReached: true }),
    })),
  },
  {
    lie: 'shows the state before the change of a tag',
    caughtBy: AT_TAG,
    make: remembering((honest, engine) => ({
      version: async (key, moment) => {
        const page = await honest.history(key, { after: moment.position, limit: 1 });
        const before = page?.changes[0];
        if (!before)
          return { entry: undefined, value: undefined, predecessor: undefined, successor: undefined };
        return honest.version(key, { ...moment, position: before.etag ?? engine.position() });
      },
    })),
  },
  {
    lie: 'does not know the version after one',
    caughtBy: AT_TAG,
    make: versions(() => ({ successor: undefined })),
  },
  {
    lie: 'shows at a time what had expired by then',
    caughtBy: AT_TIME,
    make: remembering((honest) => ({
      version: (key, moment) => honest.version(key, { ...moment, time: undefined }),
    })),
  },
  {
    lie: 'takes a time for the one before it',
    caughtBy: AT_TIME,
    make: remembering((honest) => ({
      find: (name) => honest.find('time' in name ? { time: name.time - 1 } : name),
    })),
  },
  {
    lie: 'reaches moments that this database never had',
    caughtBy: 'a moment that this database has never had',
    make: remembering((honest) => ({
      find: async (name) => {
        const moment = await honest.find(name);
        return moment && { ...moment, isReached: true };
      },
    })),
  },
  {
    lie: 'guesses that what it does not know any more was not there',
    caughtBy: 'what has left the log is history-gone',
    make: remembering((honest) => ({
      version: (key, moment) =>
        honest.version(key, moment).catch(() => ({
          entry: undefined,
          value: undefined,
          predecessor: undefined,
          successor: undefined,
        })),
    })),
  },
  {
    lie: 'forgets what was removed since',
    caughtBy: SINCE,
    make: sinceThen((part) => ({
      ...part,
      changed: part.changed.filter(({ etag }) => etag !== undefined),
    })),
  },
  {
    lie: 'takes what has not changed for changed',
    caughtBy: SINCE,
    make: sinceThen((part) => ({ ...part, unchanged: 0 })),
  },
  {
    lie: 'visits other keys than those of the range',
    caughtBy: SINCE,
    make: remembering((honest) => ({ since: (_range, moment) => honest.since({ prefix: '' }, moment) })),
  },
];
