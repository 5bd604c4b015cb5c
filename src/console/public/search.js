// Keys that have a text anywhere in them. No index knows them, so that all keys are looked at, page by page, for as long as
// somebody wants that.
import { db } from './api.js';
import { signal } from './ui.js';

const MOST_FOUND = 10_000;

/** Looks like a listing to whoever shows it. */
export class Search {
  rows = [];
  changed = signal(0);
  state = signal('loading');
  error = undefined;
  /** How many keys were looked at. */
  looked = signal(0);
  count = signal(undefined);
  hasBefore = false;
  hasAfter = false;
  shift = 0;
  touched = new Map();
  isStopped = false;
  #end = new AbortController();

  constructor(prefix, text) {
    this.prefix = prefix;
    this.text = text;
    void this.#run();
  }

  /** Looks no further. */
  stop() {
    this.isStopped = true;
    this.close();
    this.state.value = 'idle';
  }

  close() {
    this.#end.abort();
  }

  after() {}
  before() {}
  jump() {}

  /** Looks again if looking failed. What was found before stays as it is. */
  refresh() {
    if (this.state.peek() !== 'failed') return;
    this.rows = [];
    this.looked.value = 0;
    this.state.value = 'loading';
    void this.#run();
  }

  apply(changes) {
    const gone = new Set(changes.filter(({ kind }) => kind !== 'put').map(({ key }) => key));
    if (gone.size === 0) return;
    this.rows = this.rows.filter(({ key }) => !gone.has(key));
    this.changed.value++;
  }

  async #run() {
    const { signal } = this.#end;
    try {
      let after;
      do {
        const page = await db.list({ prefix: this.prefix, after, limit: 1000, signal });
        this.#take(page.items);
        after = page.next ?? undefined;
      } while (after !== undefined && this.rows.length < MOST_FOUND);
      this.isStopped = after !== undefined;
      this.state.value = 'idle';
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
      this.state.value = 'failed';
    }
  }

  #take(items) {
    for (const item of items) if (item.key.includes(this.text)) this.rows.push({ key: item.key, item });
    this.looked.value += items.length;
    this.changed.value++;
  }
}
