// A part of a range, row by row: what is near to what is shown, and no more, so that a list of ten million keys takes as much
// memory as one of a few thousand.
import { db } from './api.js';
import { compareKeys, folderOf } from './keys.js';
import { signal } from './ui.js';

const FIRST_PAGE = 200;
const PAGE = 1000;
/** How many rows are kept. */
const MOST_ROWS = 5000;
/** A busy range is not counted after every change. */
const COUNT_PAUSE_MS = 1500;

/** @typedef {{ key: string, item?: import('pigeonhole/client').Item, isFolder?: boolean }} Row an entry or a folder */

export class Listing {
  /** @type {Row[]} */
  rows = [];
  /** Rises with every change of the rows. */
  changed = signal(0);
  /** `loading`, `idle`, or `failed`. */
  state = signal('loading');
  error = undefined;
  count = signal(undefined);
  /** Whether the range goes on before the first row, and after the last one. */
  hasBefore = false;
  hasAfter = true;
  /** How many rows were added before the first one since somebody looked, less those dropped there. */
  shift = 0;
  /** When what was changed by somebody, by key. */
  touched = new Map();
  #end = new AbortController();
  #counting;
  /** Loads that are under way or wait for one. */
  #loads = 0;
  #lastLoad = Promise.resolve();
  /** The oldest of what the pages show. */
  #revision;
  #late = [];

  constructor(prefix, delimiter) {
    this.prefix = prefix;
    this.delimiter = delimiter;
    void this.after();
    void this.#recount();
  }

  /** Forgets what is under way. */
  close() {
    this.#end.abort();
    clearTimeout(this.#counting);
  }

  /** Loads the rows after the last one. */
  after() {
    return this.#extend(false, this.rows.at(-1)?.key);
  }

  /** Loads the rows before the first one. */
  before() {
    return this.#extend(true, this.rows[0]?.key);
  }

  /** Shows the beginning of the range, or its end. */
  async jump(toEnd) {
    if (toEnd ? !this.hasAfter : !this.hasBefore) return;
    await this.#load(async () => this.#replace(toEnd, await this.#page({ limit: FIRST_PAGE, isUp: toEnd })));
  }

  /**
   * Loads again what is there, because changes may have been missed. What is seen stays in its place.
   * @param position from which on no change is missed, if it is known
   */
  async refresh(position) {
    await this.#load(async () => {
      if (position !== undefined && position === this.#revision) return;
      void this.#recount();
      this.#revision = undefined;
      const from = this.hasBefore ? this.rows[0].key : undefined;
      const limit = this.rows.length > FIRST_PAGE ? PAGE : FIRST_PAGE;
      let page = await this.#page({ from, limit });
      const rows = page.rows;
      while (page.hasMore && rows.length < this.rows.length) {
        page = await this.#page({ after: rows.at(-1).key, limit });
        rows.push(...page.rows);
      }
      this.rows = rows;
      this.hasAfter = page.hasMore;
    });
  }

  async #extend(isUp, after) {
    const isFirst = this.rows.length === 0;
    if (this.#loads > 0 || !(isFirst || (isUp ? this.hasBefore : this.hasAfter))) return;
    await this.#load(async () => {
      const page = await this.#page({ after, limit: isFirst ? FIRST_PAGE : PAGE, isUp });
      if (isFirst) this.#replace(isUp, page);
      else if (isUp) this.#prepend(page);
      else this.#append(page);
    });
  }

  /** Does one load after the other. */
  #load(work) {
    this.#loads++;
    this.state.value = 'loading';
    this.#lastLoad = this.#lastLoad.then(() => this.#finish(work));
    return this.#lastLoad;
  }

  async #finish(work) {
    let error;
    try {
      await work();
    } catch (failure) {
      error = failure;
    }
    this.#loads--;
    if (this.#end.signal.aborted) return;
    this.error = error;
    if (this.#loads === 0) this.state.value = error ? 'failed' : 'idle';
    this.changed.value++;
    this.apply(this.#late.splice(0));
  }

  /** @param {import('pigeonhole/client').ListOptions & { isUp?: boolean }} params */
  async #page({ isUp = false, ...params }) {
    const { prefix } = this;
    const [delimiter, reverse] = [this.delimiter || undefined, isUp || undefined];
    const { signal } = this.#end;
    const page = await db.list({ prefix, delimiter, reverse, ...params, signal });
    const { items, prefixes, next, revision } = page;
    this.#revision ??= revision;
    /** @type {Row[]} */
    const rows = items.map((item) => ({ key: item.key, item }));
    for (const folder of prefixes) rows.push({ key: folder, isFolder: true });
    rows.sort((a, b) => compareKeys(a.key, b.key));
    return { rows, hasMore: next !== null };
  }

  #replace(isUp, { rows, hasMore }) {
    this.rows = rows;
    this.hasBefore = isUp && hasMore;
    this.hasAfter = !isUp && hasMore;
    this.shift = 0;
  }

  #append({ rows, hasMore }) {
    this.rows = this.rows.concat(rows);
    this.hasAfter = hasMore;
    const dropped = Math.max(0, this.rows.length - MOST_ROWS);
    if (dropped === 0) return;
    this.rows = this.rows.slice(dropped);
    this.shift -= dropped;
    this.hasBefore = true;
  }

  #prepend({ rows, hasMore }) {
    this.rows = rows.concat(this.rows);
    this.shift += rows.length;
    this.hasBefore = hasMore;
    if (this.rows.length <= MOST_ROWS) return;
    this.rows.length = MOST_ROWS;
    this.hasAfter = true;
  }

  /** Takes over what was changed. While rows are on their way it waits for them: they may be older. */
  apply(changes) {
    if (this.#loads > 0) return void this.#late.push(...changes);
    let isOurs = false;
    for (const change of changes) {
      if (!change.key.startsWith(this.prefix)) continue;
      isOurs = true;
      this.#applyOne(change);
    }
    if (!isOurs) return undefined;
    this.changed.value++;
    this.#counting ??= setTimeout(() => this.#recount(), COUNT_PAUSE_MS);
    return undefined;
  }

  #applyOne(change) {
    const folder = folderOf(change.key, this.prefix, this.delimiter);
    const key = folder ?? change.key;
    const { index, isThere } = this.#find(key);
    this.#mark(key, change.kind);
    if (folder !== undefined) {
      if (change.kind !== 'put') return isThere && void this.#checkFolder(folder);
      if (!isThere && this.#isInside(index)) this.#insert(index, { key, isFolder: true });
    } else if (change.kind !== 'put') {
      if (isThere) this.#remove(index);
    } else {
      const { etag, type, size, expires } = change;
      const item = { ...this.rows[index]?.item, key, etag, type, size, expires };
      if (isThere) this.rows[index] = { key, item };
      else if (this.#isInside(index)) this.#insert(index, { key, item });
    }
    return undefined;
  }

  #mark(key, kind) {
    this.touched.set(key, kind);
    if (this.touched.size > 200) this.touched.delete(this.touched.keys().next().value);
    setTimeout(() => {
      if (this.touched.delete(key)) this.changed.value++;
    }, 2500);
  }

  #isInside(index) {
    return (index > 0 || !this.hasBefore) && (index < this.rows.length || !this.hasAfter);
  }

  #insert(index, row) {
    this.rows.splice(index, 0, row);
  }

  #remove(index) {
    this.rows.splice(index, 1);
  }

  /** Removes a folder if nothing is left in it. */
  async #checkFolder(folder) {
    const { signal } = this.#end;
    const isEmpty = await db.list({ prefix: folder, limit: 1, signal }).then(
      ({ items }) => items.length === 0,
      () => false,
    );
    const { index, isThere } = this.#find(folder);
    if (!isEmpty || !isThere) return;
    this.#remove(index);
    this.changed.value++;
  }

  #find(key) {
    let [low, high] = [0, this.rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareKeys(this.rows[middle].key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return { index: low, isThere: this.rows[low]?.key === key };
  }

  async #recount() {
    this.#counting = undefined;
    try {
      this.count.value = await db.count({ prefix: this.prefix, signal: this.#end.signal });
    } catch {
      // The list itself says what is wrong.
    }
  }
}
