import { DatabaseError } from '../../errors.js';
import { JsonOutline, type OutlineLevel } from './json-outline.js';

/*
 * JSON.parse builds what it reads, which for 16 MiB of `[{},{},…]` takes seconds. The scanner reads the bytes with a table
 * of states instead (RFC 8259), builds nothing, and can stop and go on at every byte. What a caller needs to find again is noted in an
 * outline. Left to the caller: whether the bytes are UTF-8.
 */

/** The states. Those from `Fail` on are no states but what the scanner has to do with a byte. */
const enum S {
  Value,
  FirstItem,
  FirstName,
  Name,
  Colon,
  AfterMember,
  AfterItem,
  Done,
  String,
  Escape,
  Hex4,
  Hex3,
  Hex2,
  Hex1,
  Minus,
  Zero,
  Integer,
  Point,
  Fraction,
  Exponent,
  Sign,
  Power,
  T,
  Tr,
  Tru,
  F,
  Fa,
  Fal,
  Fals,
  N,
  Nu,
  Nul,
  Word,
  Fail,
  BeginName,
  BeginString,
  EndString,
  Backslash,
  BeginScalar,
  EndScalar,
  OpenObject,
  OpenArray,
  Close,
}

const SPACE = ' \t\n\r';
const DIGITS = '0123456789';
/** What comes after a scalar, and belongs to it no more. */
const END = `${SPACE},]}`;
const HEX = `${DIGITS}abcdefABCDEF`;

/** Bytes, and the state after each of them or what to do. */
type Step = readonly [bytes: string, next: S];

/** How a value begins. */
const BEGINNINGS: readonly Step[] = [
  ['"', S.BeginString],
  [`-${DIGITS}tfn`, S.BeginScalar],
  ['{', S.OpenObject],
  ['[', S.OpenArray],
];

/** Each state with the bytes that it takes. */
const RULES: readonly (readonly [S, ...Step[]])[] = [
  [S.Value, [SPACE, S.Value], ...BEGINNINGS],
  [S.FirstItem, [SPACE, S.FirstItem], ...BEGINNINGS, [']', S.Close]],
  [S.FirstName, [SPACE, S.FirstName], ['"', S.BeginName], ['}', S.Close]],
  [S.Name, [SPACE, S.Name], ['"', S.BeginName]],
  [S.Colon, [SPACE, S.Colon], [':', S.Value]],
  [S.AfterMember, [SPACE, S.AfterMember], [',', S.Name], ['}', S.Close]],
  [S.AfterItem, [SPACE, S.AfterItem], [',', S.Value], [']', S.Close]],
  [S.Done, [SPACE, S.Done]],
  [S.String, ['"', S.EndString], ['\\', S.Backslash]],
  [S.Escape, ['"\\/bfnrt', S.String], ['u', S.Hex4]],
  [S.Hex4, [HEX, S.Hex3]],
  [S.Hex3, [HEX, S.Hex2]],
  [S.Hex2, [HEX, S.Hex1]],
  [S.Hex1, [HEX, S.String]],
  [S.Minus, ['0', S.Zero], ['123456789', S.Integer]],
  [S.Zero, ['.', S.Point], ['eE', S.Exponent], [END, S.EndScalar]],
  [S.Integer, [DIGITS, S.Integer], ['.', S.Point], ['eE', S.Exponent], [END, S.EndScalar]],
  [S.Point, [DIGITS, S.Fraction]],
  [S.Fraction, [DIGITS, S.Fraction], ['eE', S.Exponent], [END, S.EndScalar]],
  [S.Exponent, ['+-', S.Sign], [DIGITS, S.Power]],
  [S.Sign, [DIGITS, S.Power]],
  [S.Power, [DIGITS, S.Power], [END, S.EndScalar]],
  [S.T, ['r', S.Tr]],
  [S.Tr, ['u', S.Tru]],
  [S.Tru, ['e', S.Word]],
  [S.F, ['a', S.Fa]],
  [S.Fa, ['l', S.Fal]],
  [S.Fal, ['s', S.Fals]],
  [S.Fals, ['e', S.Word]],
  [S.N, ['u', S.Nu]],
  [S.Nu, ['l', S.Nul]],
  [S.Nul, ['l', S.Word]],
  [S.Word, [END, S.EndScalar]],
];

/** What follows each state and byte. */
const NEXT = new Uint8Array(S.Fail << 8).fill(S.Fail);
const STRING_ROW = S.String << 8;
NEXT.fill(S.String, STRING_ROW | 0x20, (S.String + 1) << 8);
for (const [state, ...steps] of RULES)
  for (const [bytes, next] of steps)
    for (let i = 0; i < bytes.length; i++) NEXT[(state << 8) | bytes.charCodeAt(i)] = next;

/** The state after the first byte of a number or a word. */
const FIRST_OF_SCALAR = new Uint8Array(128).fill(S.Integer);
for (const [byte, state] of [
  ['-', S.Minus],
  ['0', S.Zero],
  ['t', S.T],
  ['f', S.F],
  ['n', S.N],
] as const)
  FIRST_OF_SCALAR[byte.charCodeAt(0)] = state;

/** How deep containers may be nested. */
export const MAX_DEPTH = 128;

/** Scans one JSON text, a piece at a time. */
export class JsonScanner {
  readonly outline: JsonOutline;
  private at = 0;
  private state = S.Value;
  private depth = 0;
  /** For each level the state after a value on it. */
  private readonly after: S[] = [S.Done];
  /** Where the string, number or word begins that is being read. */
  private start = 0;
  private escaped = false;
  private inName = false;

  /** @param what the text is, as the subject of an error's sentence */
  constructor(
    private readonly bytes: Buffer,
    private readonly what: string,
    levels: readonly OutlineLevel[] = [],
  ) {
    this.outline = new JsonOutline(bytes, levels);
  }

  /** Reads at most `most` bytes. Returns whether the text has ended. @throws DatabaseError `invalid-json` */
  step(most: number): boolean {
    const { bytes } = this;
    const stop = Math.min(this.at + most, bytes.length);
    let { at, state } = this;
    while (at < stop) {
      const next: S = NEXT[(state << 8) | bytes[at]!]!;
      if (next < S.Fail) {
        state = next;
        at++;
        // Most bytes of most texts are in strings, where one look is enough.
        if (state === S.String) while (at < stop && NEXT[STRING_ROW | bytes[at]!] === S.String) at++;
      } else if (next === S.EndScalar) {
        state = this.endValue(at);
      } else {
        state = this.act(next, at++, state);
      }
    }
    this.at = at;
    this.state = state;
    if (at < bytes.length) return false;
    this.end();
    return true;
  }

  private act(action: S, at: number, state: S): S {
    switch (action) {
      case S.BeginName:
        this.inName = true;
        return this.begin(at, S.String);
      case S.BeginString:
        return this.begin(at, S.String);
      case S.BeginScalar:
        return this.begin(at, FIRST_OF_SCALAR[this.bytes[at]!]!);
      case S.Backslash:
        this.escaped = true;
        return S.Escape;
      case S.EndString:
        return this.inName ? this.endName(at + 1) : this.endValue(at + 1);
      case S.OpenObject:
        return this.enter(at, '{', S.AfterMember, S.FirstName);
      case S.OpenArray:
        return this.enter(at, '[', S.AfterItem, S.FirstItem);
      case S.Close:
        return this.leave(at + 1);
      default:
        throw invalidJson(this.what, `${reasonOf(state)} at position ${at}`);
    }
  }

  private begin(at: number, state: S): S {
    this.start = at;
    this.escaped = false;
    return state;
  }

  private endName(end: number): S {
    const { outline, start, escaped } = this;
    this.inName = false;
    if (this.depth === outline.depth) outline.name(start, end, escaped);
    return S.Colon;
  }

  private endValue(end: number): S {
    const { outline, start, escaped, depth } = this;
    if (depth === outline.depth) outline.value(start, end, escaped);
    return this.after[depth]!;
  }

  private enter(at: number, bracket: '{' | '[', after: S, first: S): S {
    const { outline, depth } = this;
    if (depth === MAX_DEPTH) throw invalidJson(this.what, `it is nested deeper than ${MAX_DEPTH} levels`);
    if (depth === outline.depth) outline.enter(at, bracket);
    this.depth = depth + 1;
    this.after[this.depth] = after;
    return first;
  }

  private leave(end: number): S {
    const { outline, depth } = this;
    if (depth === outline.depth) outline.leaveShown(end);
    else if (depth === outline.depth + 1) outline.leave(end);
    this.depth = depth - 1;
    return this.after[this.depth]!;
  }

  private end(): void {
    // A number at the end of the text ends there.
    if (NEXT[(this.state << 8) | 0x20] === S.EndScalar) this.state = this.endValue(this.at);
    const isBlank = this.state === S.Value && this.depth === 0;
    if (this.state !== S.Done && !isBlank) throw invalidJson(this.what, 'it ends in the middle');
  }
}

/** What is wrong with a byte that a state does not take. */
const REASONS = new Map<S, string>([
  [S.Value, 'there is no value'],
  [S.FirstItem, 'there is no value'],
  [S.FirstName, 'there is no name in double quotes'],
  [S.Name, 'there is no name in double quotes'],
  [S.Colon, 'there is no colon'],
  [S.AfterMember, 'there is neither a comma nor the end of the object'],
  [S.AfterItem, 'there is neither a comma nor the end of the list'],
  [S.Done, 'something follows the value'],
  [S.String, 'a string has a control character that is not escaped'],
]);

function reasonOf(state: S): string {
  if (state >= S.T) return 'a word is neither true, false nor null';
  if (state >= S.Minus) return 'a number is malformed';
  return REASONS.get(state) ?? 'a string has an unknown escape';
}

export function invalidJson(what: string, why: string): DatabaseError {
  return new DatabaseError('invalid-json', `${what} is not valid JSON: ${why}.`);
}
