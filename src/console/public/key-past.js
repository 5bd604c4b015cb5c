// The versions of one key: what is known of each, and what the two hold that are compared.
import { getAt, history } from 'pigeonhole/past';
import { db } from './api.js';
import { formatBytes, isJson, textOf } from './format.js';
import { formatJson } from './json-lexer.js';
import { onChanges } from './live.js';
import { signal } from './ui.js';

const PAGE = 100;

/** @typedef {import('pigeonhole/past').Version} Version */

export class KeyPast {
  /** The newest first. @type {Version[]} */
  versions = [];
  /** `loading`, `ready`, `failed`. */
  state = signal('loading');
  /** Rises with every change of the versions. */
  changed = signal(0);
  error = undefined;
  /** Whether older versions are kept. */
  hasMore = false;
  /** Whether there were older ones. */
  isCut = false;
  #next;
  #end = new AbortController();
  #texts = new Map();

  constructor(key) {
    this.key = key;
    const leave = onChanges((changes) => {
      if (!changes || changes.some((change) => change.key === key)) void this.load();
    });
    this.#end.signal.addEventListener('abort', leave);
    void this.load();
  }

  close() {
    this.#end.abort();
  }

  /** Loads the newest versions. */
  load() {
    return this.#read(undefined);
  }

  /** Loads the versions that are older than the last one. */
  loadMore() {
    return this.#read(this.#next);
  }

  async #read(after) {
    const { signal } = this.#end;
    try {
      const { items, next, cut } = await history(db, this.key, { after, limit: PAGE, values: false, signal });
      this.versions = after === undefined ? [...items] : [...this.versions, ...items];
      this.#next = next ?? undefined;
      this.hasMore = next !== null;
      this.isCut = cut === true;
      this.state.value = 'ready';
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
      this.state.value = 'failed';
    }
    this.changed.value++;
  }

  /** Returns the version with a tag, or the newest. */
  versionOf(etag) {
    return this.versions.find((version) => version.etag === etag) ?? this.versions[0];
  }

  /** Returns the version that the change of another one replaced, undefined if none is known. */
  versionBefore(version) {
    return this.versions[this.versions.indexOf(version) + 1];
  }

  /**
   * Returns what a version held: its text, or why there is none to be seen.
   * @param {Version | undefined} version
   * @returns {Promise<{ text?: string, why?: string }>}
   */
  held(version) {
    if (version?.kind !== 'put') return Promise.resolve({});
    if (!this.#texts.has(version.etag)) this.#texts.set(version.etag, this.#readText(version));
    return this.#texts.get(version.etag);
  }

  /** @param {Version} version */
  async #readText({ etag, size, type }) {
    const what = `${formatBytes(size)} of ${type}`;
    try {
      const entry = await getAt(db, this.key, etag, { signal: this.#end.signal });
      const text = entry && textOf(await entry.bytes());
      return text === undefined ? { why: `${what}, which are no text.` } : { text: laidOut(text, type) };
    } catch (error) {
      this.#texts.delete(etag);
      return { why: error.code === 'history-gone' ? `${what}, which are not kept any more.` : error.message };
    }
  }
}

/** JSON with a line for each member, so that lines can be compared. */
function laidOut(text, type) {
  if (!isJson(type)) return text;
  const formatted = formatJson(text);
  return formatted.fault ? text : formatted.text;
}
