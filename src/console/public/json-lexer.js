// Reads JSON as text. A value is never built: its digits, its order and members that occur twice stay as they are.

/** What a string does not simply go on with: its end, an escape, or a control character. */
const STRING_PART = /["\\]|(?![\u007f-\u009f])\p{Cc}/gu;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORD = /true|false|null/y;
const SPACE = /[ \t\n\r]*/y;

/** A word or an escape that is cut off lacks its last character at least: so many are left of the longest, `\u1234`. */
const LONGEST_CUT = 5;

/** What is wrong with a text, and where. */
export class JsonFault extends Error {
  constructor(text, index, what) {
    super(what);
    const before = text.slice(0, index).split('\n');
    this.index = index;
    this.line = before.length;
    this.column = before.at(-1).length + 1;
    /** Whether the text may only end too early: after what is complete, or within a word, a number or an escape. */
    this.isEnd = index >= text.length - LONGEST_CUT;
  }
}

/** Yields the tokens of JSON: `{ kind, start, end, depth }`. @throws JsonFault */
export function* tokensOf(text) {
  const open = [];
  let wants = 'value';
  let at = 0;
  for (;;) {
    at = skip(SPACE, text, at);
    const mark = text[at];
    if (mark === undefined) {
      if (wants === 'nothing') return;
      throw new JsonFault(text, at, 'It ends too early.');
    }
    const kind = kindAt(mark);
    if (!allows(wants, kind, mark, open)) throw new JsonFault(text, at, `Here ${WANTED[wants]}.`);
    const end = kind === 'mark' ? at + 1 : endOf(kind, text, at);
    if ('}]'.includes(mark)) open.pop();
    yield {
      kind: wants.startsWith('name') && kind === 'string' ? 'name' : kind,
      start: at,
      end,
      depth: open.length,
    };
    if ('{['.includes(mark)) open.push(mark);
    wants = next(mark, kind, wants, open);
    at = end;
  }
}

const WANTED = {
  value: 'a value has to stand',
  'value or end': 'a value or ] has to stand',
  name: 'a name in double quotes has to stand',
  'name or end': 'a name in double quotes or } has to stand',
  colon: 'a colon has to stand',
  'comma or end': 'a comma or the end of what is open has to stand',
  nothing: 'nothing may follow any more',
};

function kindAt(mark) {
  if (mark === '"') return 'string';
  if (mark === '-' || (mark >= '0' && mark <= '9')) return 'number';
  return '{}[],:'.includes(mark) ? 'mark' : 'word';
}

function allows(wants, kind, mark, open) {
  const closes = open.at(-1) === '{' ? mark === '}' : mark === ']' && open.length > 0;
  if (wants === 'colon') return mark === ':';
  if (wants === 'comma or end') return mark === ',' || closes;
  if (wants === 'nothing') return false;
  if (wants.endsWith('or end') && closes) return true;
  if (wants.startsWith('name')) return kind === 'string';
  return kind !== 'mark' || mark === '{' || mark === '[';
}

function next(mark, kind, wants, open) {
  if (mark === '{' && kind === 'mark') return 'name or end';
  if (mark === '[' && kind === 'mark') return 'value or end';
  if (mark === ':' && kind === 'mark') return 'value';
  if (mark === ',' && kind === 'mark') return open.at(-1) === '{' ? 'name' : 'value';
  if (wants.startsWith('name') && kind === 'string') return 'colon';
  return open.length === 0 ? 'nothing' : 'comma or end';
}

function endOf(kind, text, at) {
  if (kind === 'string') return endOfString(text, at);
  const end = skip(kind === 'number' ? NUMBER : WORD, text, at);
  if (end === at) throw new JsonFault(text, at, 'This is neither a value nor a part of one.');
  return end;
}

function endOfString(text, start) {
  STRING_PART.lastIndex = start + 1;
  for (let found; (found = STRING_PART.exec(text)) !== null;) {
    if (found[0] === '"') return found.index + 1;
    if (found[0] !== '\\') throw new JsonFault(text, found.index, 'A control character has to be escaped.');
    const end = skip(ESCAPE, text, found.index);
    if (end === found.index) throw new JsonFault(text, found.index, 'There is no such escape.');
    STRING_PART.lastIndex = end;
  }
  throw new JsonFault(text, text.length, 'It ends too early.');
}

function skip(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

/** Returns what is wrong with a text as JSON, undefined if nothing is. */
export function faultOf(text) {
  try {
    for (const token of tokensOf(text)) void token;
    return undefined;
  } catch (error) {
    if (error instanceof JsonFault) return error;
    throw error;
  }
}

/**
 * Returns JSON with a line for each member, and where in it what stands: `{ text, marks: [kind, start, end][], fault }`.
 * After a fault the rest stays as it is.
 */
export function formatJson(text) {
  const lines = new Lines();
  let last = 0;
  try {
    for (const token of tokensOf(text)) {
      lines.add(token, text.slice(token.start, token.end));
      last = token.end;
    }
    return lines;
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    lines.text += text.slice(last);
    lines.fault = error;
    return lines;
  }
}

class Lines {
  text = '';
  marks = [];
  fault;
  #before = '';

  add({ kind, depth }, part) {
    const isClose = part === '}' || part === ']';
    const isEmpty = isClose && '{['.includes(this.#before) && this.#before !== '';
    if (this.#startsLine(isClose) && !isEmpty) this.text += `\n${'  '.repeat(depth)}`;
    const start = this.text.length;
    this.text += part;
    if (kind !== 'mark') this.marks.push([kind, start, this.text.length]);
    if (part === ':') this.text += ' ';
    this.#before = kind === 'mark' ? part : 'value';
  }

  #startsLine(isClose) {
    return isClose || ['{', '[', ','].includes(this.#before);
  }
}
