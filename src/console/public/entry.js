// The entry that is open: what is known of it, and the first of its bytes.
import { ApiError, describe, readValue } from './api.js';
import { textOf } from './format.js';
import { onChanges } from './live.js';
import { signal } from './ui.js';

/** So much of a value is read at first. */
export const FIRST_BYTES = 256 * 1024;

export class OpenEntry {
  /** `loading`, `ready`, `absent`, `failed`. */
  state = signal('loading');
  /** The description of the entry. */
  about = undefined;
  /** The bytes that were read, from the first on. */
  bytes = undefined;
  error = undefined;
  /** The change that came while somebody edits: the editor is left alone. */
  newer = signal(undefined);
  /** Whether it was changed just now, by somebody. */
  isTouched = signal(false);
  /** Rises with every version that is shown. */
  version = signal(0);
  isEditing = false;
  #end = new AbortController();
  #leave;
  /** Of several reads the last one counts. */
  #turn = 0;

  constructor(key) {
    this.key = key;
    this.#leave = onChanges((changes) => this.#hear(changes));
    void this.load();
  }

  close() {
    this.#end.abort();
    this.#leave();
  }

  get isWhole() {
    return this.bytes.length === this.about.size;
  }

  /** The value as text, undefined if it is none. */
  get text() {
    return textOf(this.bytes, this.isWhole);
  }

  /** Reads the entry. @param most how many bytes of it; all without */
  async load(most = FIRST_BYTES) {
    const turn = ++this.#turn;
    try {
      await this.#read(most, turn);
    } catch (error) {
      if (error.name === 'AbortError') return;
      this.error = error instanceof Error ? error : new ApiError(0, {});
      this.state.value = error.status === 404 ? 'absent' : 'failed';
    }
    this.version.value++;
  }

  async #read(most, turn) {
    const about = await describe(this.key, this.#end.signal);
    if (turn !== this.#turn) return undefined;
    if (about === undefined) {
      this.about = undefined;
      this.state.value = 'absent';
      return undefined;
    }
    const { bytes, etag } = await readValue(this.key, about.size > most ? most : undefined, this.#end.signal);
    // Somebody was faster than these two requests.
    if (turn !== this.#turn) return undefined;
    if (etag !== about.etag) return this.#read(most, turn);
    this.about = about;
    this.bytes = bytes;
    this.newer.value = undefined;
    this.state.value = 'ready';
    return undefined;
  }

  #hear(changes) {
    const change =
      changes === undefined ? { kind: 'missed' } : changes.findLast(({ key }) => key === this.key);
    if (!change || change.etag === this.about?.etag) return;
    if (this.isEditing) {
      this.newer.value = change;
      return;
    }
    this.isTouched.value = true;
    setTimeout(() => (this.isTouched.value = false), 2500);
    void this.load(this.bytes && this.isWhole ? Math.max(FIRST_BYTES, this.bytes.length) : FIRST_BYTES);
  }
}
