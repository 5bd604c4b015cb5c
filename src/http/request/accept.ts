import { splitField } from './field-list.js';
import { NDJSON_TYPES } from './media-type.js';

/** What a representation is called in Accept. */
export type TypeName = RegExp;

export const EVENT_STREAM: TypeName = /^text\/event-stream$/;
/** One type under the names that are in use. */
export const NDJSON_NAMES: TypeName = new RegExp(`^(?:${NDJSON_TYPES.join('|')})$`);
/** The types of values, which may be any. */
export const ANY_TYPE: TypeName = /^[^*]/;
export const JSON_DOCUMENT: TypeName = /^application\/json$/;

/** An element of Accept: a type or a wildcard, in lower case, and its weight from 0 to 1. */
interface MediaRange {
  readonly type: string;
  readonly weight: number;
}

/**
 * Whether Accept gives one representation a greater weight than the plain one (RFC 9110, 12.5.1). The most specific range
 * that matches decides about each. Wildcards only count for the plain one: who has not named a stream does not expect an
 * answer that never ends.
 *
 * @param plain of the plain answer; several types may match it, and then the greatest weight counts
 */
export function prefers(accept: string | undefined, special: TypeName, plain: TypeName): boolean {
  if (accept === undefined || !MAY_NAME_SPECIAL.test(accept)) return false;
  const ranges = splitField(accept, ',').flatMap(parseRange);
  const weight = greatest(ranges.filter(({ type }) => special.test(type)));
  if (weight === undefined || weight === 0) return false;
  const others = ranges.filter(({ type }) => !special.test(type));
  return weight > weightOf(plain, others);
}

/** Keeps the Accept of nearly all requests from being taken apart. */
const MAY_NAME_SPECIAL = /event-stream|ndjson|jsonl/i;

function weightOf(name: TypeName, ranges: readonly MediaRange[]): number {
  const ofWildcard = (wildcard: string) => greatest(ranges.filter(({ type }) => type === wildcard));
  const exact = greatest(ranges.filter(({ type }) => name.test(type)));
  if (name === ANY_TYPE) return Math.max(exact ?? 0, ofWildcard('*/*') ?? 0);
  return exact ?? ofWildcard('application/*') ?? ofWildcard('*/*') ?? 0;
}

function greatest(ranges: readonly MediaRange[]): number | undefined {
  return ranges.length === 0 ? undefined : Math.max(...ranges.map(({ weight }) => weight));
}

/** An element whose weight is malformed is left out. */
function parseRange(element: string): MediaRange[] {
  const [type = '', ...parameters] = splitField(element.toLowerCase(), ';');
  const weights = parameters.flatMap((parameter) => /^q\s*=\s*(.*)$/.exec(parameter)?.[1] ?? []);
  const [weight = '1'] = weights;
  return /^(?:0(?:\.\d*)?|1(?:\.0*)?)$/.test(weight) ? [{ type, weight: Number(weight) }] : [];
}
