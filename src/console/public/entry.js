// The entry that is open: what is known of it, and the first of its bytes.
import { db, readEntry } from './api.js';
import { textOf } from './format.js';
import { connection, onChanges } from './live.js';
import { effect, signal } from './ui.js';

/** So much of a value is read at first. */
export const FIRST_BYTES = 256 * 1024;

export class OpenEntry {
  /** `loading`, `ready`, `absent`, `failed`. */
  state = signal('loading');
  /** @type {import('pigeonhole/client').Description | undefined} */
  about = undefined;
  /** The bytes that were read, from the first on. @type {Uint8Array<ArrayBuffer> | undefined} */
  bytes = undefined;
  /** The value as text, undefined if it is none. @type {string | undefined} */
  text = undefined;
  error = undefined;
  /** The change that came while somebody edits: the editor is left alone. */
  newer = signal(undefined);
  /** Whether it was changed just now, by somebody. */
  isTouched = signal(false);
  /** Rises with every version that is shown. */
  version = signal(0);
  isEditing = false;
  #end = new AbortController();
  /** Of several reads the last one counts. */
  #turn = 0;
  #lastLoad = Promise.resolve();

  constructor(key) {
    this.key = key;
    this.#untilClosed(onChanges((changes) => this.#hear(changes)));
    // What could not be read is read when the server is there again.
    const isBack = () => connection.value === 'live' && this.state.peek() === 'failed';
    this.#untilClosed(effect(() => void (isBack() && this.load())));
    void this.load();
  }

  #untilClosed(leave) {
    this.#end.signal.addEventListener('abort', leave);
  }

  close() {
    this.#end.abort();
  }

  get isWhole() {
    return this.bytes.length === this.about.size;
  }

  /** Reads the entry. @param most how many bytes of it */
  load(most = FIRST_BYTES) {
    this.#lastLoad = this.#read(most);
    return this.#lastLoad;
  }

  async #read(most) {
    const turn = ++this.#turn;
    try {
      const found = await readEntry(this.key, most, this.#end.signal);
      if (turn !== this.#turn) return;
      this.#show(found);
    } catch (error) {
      if (turn !== this.#turn || this.#end.signal.aborted) return;
      this.error = error;
      this.state.value = 'failed';
    }
    this.version.value++;
  }

  #show(found) {
    this.about = found?.about;
    this.bytes = found?.bytes;
    this.text = found && textOf(found.bytes, this.isWhole);
    this.newer.value = undefined;
    this.state.value = found ? 'ready' : 'absent';
  }

  async #hear(changes) {
    const change = changes
      ? changes.findLast(({ key }) => key === this.key)
      : await this.#lastLoad.then(() => this.#changeMissed());
    if (!change || this.#end.signal.aborted || change.etag === this.about?.etag) return;
    if (this.isEditing) {
      this.newer.value = change;
      return;
    }
    this.isTouched.value = true;
    setTimeout(() => (this.isTouched.value = false), 2500);
    void this.load(this.bytes && this.isWhole ? Math.max(FIRST_BYTES, this.bytes.length) : FIRST_BYTES);
  }

  /** Returns what may have been missed while no change came through. */
  async #changeMissed() {
    const about = await db.info(this.key, { signal: this.#end.signal }).catch(() => this.about);
    return { kind: about ? 'put' : 'delete', etag: about?.etag };
  }
}
