import { MAX_DURATION, parseDuration } from '../../config/duration.js';
import { DatabaseError } from '../../errors.js';
import { MAX_KEY_BYTES } from '../../storage/entry.js';
import type { Expiry } from '../../storage/operation.js';
import { decodeForm, ESCAPES } from './percent-encoding.js';

/** Only this parameter may be empty: it then means every key. */
const MAY_BE_EMPTY = 'prefix';

/**
 * The parameters of a query, each at most once unless it is `repeatable`, and all of them known: a typo in `ttl` must not store for ever.
 * @throws DatabaseError `invalid-parameter` naming those that are known
 */
export class Parameters {
  private readonly values = new Map<string, string>();
  /** Values of the parameters that may be repeated. */
  private readonly lists = new Map<string, string[]>();

  constructor(
    url: string,
    private readonly known: readonly string[],
    private readonly repeatable: readonly string[] = [],
  ) {
    const mark = url.indexOf('?');
    if (mark < 0 || mark === url.length - 1) return;
    for (const pair of url.slice(mark + 1).split('&')) this.add(pair);
  }

  [Symbol.iterator](): Iterator<[string, string]> {
    return this.values.entries();
  }

  get(name: string): string | undefined {
    return this.values.get(name);
  }

  /** Returns all values of a repeatable parameter. */
  all(name: string): readonly string[] {
    return this.lists.get(name) ?? [];
  }

  /** Returns text that keys are compared with; it has at most `most` bytes. */
  keyText(name: string, most = MAX_KEY_BYTES): string | undefined {
    const text = this.values.get(name);
    return text === undefined ? undefined : this.checkKeyText(name, text, most);
  }

  /** The same, all values of a repeatable parameter. */
  keyTexts(name: string): string[] {
    return this.all(name).map((text) => this.checkKeyText(name, text));
  }

  /** Returns a flag, `true` or `false`; absent is false. */
  flag(name: string): boolean {
    const value = this.values.get(name) ?? 'false';
    if (value !== 'true' && value !== 'false')
      throw this.refuse(`\`${name}\` must be \`true\` or \`false\`.`);
    return value === 'true';
  }

  /** Returns a whole number, or `fallback` if absent. */
  number(name: string, least: number, most: number, fallback: number): number {
    const text = this.values.get(name);
    if (text === undefined) return fallback;
    const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : NaN;
    if (!(value >= least && value <= most))
      throw this.refuse(`\`${name}\` must be a whole number from ${least} to ${most}.`);
    return value;
  }

  private checkKeyText(name: string, text: string, most = MAX_KEY_BYTES): string {
    if (Buffer.byteLength(text) <= most) return text;
    throw this.refuse(
      `\`${name}\` may have at most ${most} bytes of UTF-8${most === MAX_KEY_BYTES ? ', as keys do' : ''}.`,
    );
  }

  private add(pair: string): void {
    const equals = pair.indexOf('=');
    const name = decodeForm(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? '' : decodeForm(pair.slice(equals + 1));
    if (name === undefined || value === undefined)
      throw this.refuse(`The query has a malformed escape. ${ESCAPES}`);
    if (!this.known.includes(name))
      throw this.refuse(`The request has no parameter ${JSON.stringify(name.slice(0, 64))}.`);
    const isRepeatable = this.repeatable.includes(name);
    if (this.values.has(name) && !isRepeatable) throw this.refuse(`\`${name}\` is given twice.`);
    if (value === '' && name !== MAY_BE_EMPTY) throw this.refuse(`\`${name}\` is empty.`);
    this.values.set(name, value);
    if (isRepeatable) this.lists.set(name, [...this.all(name), value]);
  }

  private refuse(why: string): DatabaseError {
    return new DatabaseError('invalid-parameter', `${why} ${this.listing()}`);
  }

  private listing(): string {
    const { known } = this;
    if (known.length === 0) return 'It takes no parameters.';
    return `It takes ${known.length === 1 ? 'only ' : ''}${oneOf(known, 'and')}.`;
  }
}

/** Lists names as a sentence does: `a`, `b` or `c`. */
export function oneOf(names: readonly string[], conjunction: 'and' | 'or'): string {
  const quoted = names.map((name) => `\`${name}\``);
  const last = quoted.pop()!;
  return quoted.length === 0 ? last : `${quoted.join(', ')} ${conjunction} ${last}`;
}

/** Reads a TTL: `500ms`, `60`, `90s`, `15m`, `2h`, `7d`, `none` or `keep`. @throws DatabaseError `invalid-parameter` */
export function parseTtl(text: string): Expiry {
  if (text === 'none') return 'never';
  if (text === 'keep') return 'keep';
  const duration = parseDuration(text);
  if (duration !== undefined) return { in: duration };
  const years = Math.floor(MAX_DURATION / 31_557_600_000);
  throw new DatabaseError(
    'invalid-parameter',
    `\`ttl\` must be seconds, or a whole number with ms, s, m, h or d, from 1ms to ${years} years; or none, or keep.`,
  );
}

/** Reads a signed 64-bit integer. @throws DatabaseError `invalid-parameter` */
export function parseInt64(name: string, text: string): bigint {
  const value = /^[+-]?[0-9]{1,19}$/.test(text) ? BigInt(text.replace(/^\+/, '')) : undefined;
  if (value !== undefined && BigInt.asIntN(64, value) === value) return value;
  throw new DatabaseError('invalid-parameter', `\`${name}\` must be a whole number of 64 bits.`);
}
