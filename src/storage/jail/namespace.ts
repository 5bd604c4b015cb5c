import { DatabaseError, ERRORS, MissingKeyError } from '../../errors.js';
import { MAX_NAMESPACE_BYTES } from '../entry.js';
import type { KeyRange } from '../key-range.js';

/** Text around whole `{tag}`s. A half one would decide which keys of the namespace Redis keeps together. */
const WHOLE_TAGS = /^[^{}]*(?:\{[^{}]+\}[^{}]*)*$/;

/** Returns a sentence on what keeps `text` from being a namespace; undefined if it is one. The empty one has every key. */
export function namespaceFault(text: string): string | undefined {
  if (text === '') return undefined;
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_NAMESPACE_BYTES)
    return `A namespace may have at most ${MAX_NAMESPACE_BYTES} bytes of UTF-8; this one has ${bytes}.`;
  if (!text.isWellFormed()) return 'The namespace has half a surrogate pair, which is no text.';
  if (!text.endsWith('/'))
    return 'A namespace ends with `/`, so that none is the beginning of another by accident; the empty one has every key.';
  if (WHOLE_TAGS.test(text)) return undefined;
  return 'Braces in a namespace come as a whole `{tag}`, with text in it and none inside another.';
}

/** The first of all names. */
const FIRST_NAME = '\0';

/** What is left of a key that is not of the namespace: nothing, which is the name of no entry. */
const UNTOLD = '';

/**
 * The names of a namespace: the keys that begin with its text, without that text.
 *
 * Names are mapped in by putting the text before them, which changes neither their order nor whether one begins with
 * another: whatever is a range inside is the same range of the whole database.
 */
export class Namespace {
  constructor(private readonly text: string) {}

  get isWhole(): boolean {
    return this.text === '';
  }

  /** Returns the key of the whole database that is `name` inside. */
  keyOf(name: string): string {
    return this.text + name;
  }

  /** Returns whether a key is inside. The text of the namespace itself, which is a key to others, is none inside. */
  has(key: string): boolean {
    return key.length > this.text.length && key.startsWith(this.text);
  }

  /** @throws DatabaseError `corrupt` for a key of others, to which only a damaged index of the database can lead */
  nameOf(key: string): string {
    if (!this.has(key))
      throw new DatabaseError('corrupt', 'The index of the database is damaged. Restore a backup.');
    return key.slice(this.text.length);
  }

  /** Returns the same for a key that may be damaged itself. */
  nameOfDamaged(key: string): string {
    return this.has(key) ? this.nameOf(key) : UNTOLD;
  }

  rangeOf<T extends KeyRange>(range: T): T {
    const { prefix, from = prefix === '' && !this.isWhole ? FIRST_NAME : undefined, to } = range;
    return { ...range, prefix: this.keyOf(prefix), from: this.boundOf(from), to: this.boundOf(to) };
  }

  boundOf(name: string | undefined): string | undefined {
    return name === undefined ? undefined : this.keyOf(name);
  }

  /**
   * Returns an error as it would be without anything outside. Sentences have keys in backticks: that of the operation, or
   * those of the error's `keys`. One that names the key of somebody else gives way to the meaning of its code.
   *
   * @param name of the key that was read or written
   */
  errorInside(error: unknown, name?: string): unknown {
    if (!(error instanceof DatabaseError) || this.isWhole) return error;
    if (error instanceof MissingKeyError) return new MissingKeyError(this.nameOf(error.key));
    const { code, detail, context, cause } = error;
    const { keys, ...others } = context;
    const named = keys ?? (name === undefined ? [] : [this.keyOf(name)]);
    const isOurs = named.every((key) => this.has(key));
    const sentence = isOurs ? named.reduce((text, key) => this.renamed(text, key), detail) : ERRORS[code][1];
    const names = keys && { keys: keys.filter((key) => this.has(key)).map((key) => this.nameOf(key)) };
    return new DatabaseError(code, sentence, { ...others, ...names }, { cause });
  }

  private renamed(sentence: string, key: string): string {
    // A function, because a string may have patterns.
    return sentence.replace(`\`${key}\``, () => `\`${this.nameOf(key)}\``);
  }
}
