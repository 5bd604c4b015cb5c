import type { KeyRange } from '../key-range.js';
import type {
  HistoryPage,
  HistoryQuery,
  Moment,
  MomentName,
  Past,
  PastChange,
  SinceThen,
  Version,
} from '../past.js';
import type { Awaitable } from '../storage-engine.js';
import type { Namespace } from './namespace.js';
import { RenamedEntry } from './views.js';

/** The past of a namespace. Moments are those of the whole database, as positions are. */
export class JailPast implements Past {
  constructor(
    private readonly whole: () => Past,
    private readonly names: Namespace,
  ) {}

  find(name: MomentName): Awaitable<Moment | undefined> {
    return this.whole().find(name);
  }

  history(name: string, query: HistoryQuery): Promise<HistoryPage | undefined> {
    return this.ask(name, async (key) => {
      const page = await this.whole().history(key, query);
      return page && { ...page, changes: page.changes.map((change) => renamed(name, change)) };
    });
  }

  version(name: string, moment: Moment): Promise<Version> {
    return this.ask(name, async (key) => {
      const version = await this.whole().version(key, moment);
      return { ...version, entry: version.entry && new RenamedEntry(name, version.entry) };
    });
  }

  async *since(range: KeyRange, moment: Moment): AsyncIterable<SinceThen> {
    const { names } = this;
    try {
      for await (const { changed, unchanged } of this.whole().since(names.rangeOf(range), moment))
        yield { changed: changed.map(({ key, etag }) => ({ key: names.nameOf(key), etag })), unchanged };
    } catch (error) {
      throw names.errorInside(error);
    }
  }

  private async ask<T>(name: string, question: (key: string) => Promise<T>): Promise<T> {
    try {
      return await question(this.names.keyOf(name));
    } catch (error) {
      throw this.names.errorInside(error, name);
    }
  }
}

function renamed(name: string, { kind, etag, time, by, entry, value }: PastChange): PastChange {
  return { kind, etag, time, by, entry: entry && new RenamedEntry(name, entry), value };
}
