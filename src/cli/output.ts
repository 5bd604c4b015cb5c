import { isUtf8 } from 'node:buffer';

/** Characters that make a terminal do something. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;
// oxlint-disable-next-line no-control-regex
const BINARY = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;

/** Whether people read the output. */
export function isForPeople(): boolean {
  return process.stdout.isTTY === true;
}

/** Writes to stdout. @throws what the system says when nobody can take it */
export function print(data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(data, (error) => (error ? reject(error) : resolve()));
  });
}

/** Text that moves no cursor, for people. */
export function visible(text: string): string {
  return text.replace(CONTROL, (character) =>
    JSON.stringify(character)
      .slice(1, -1)
      .replace(/^[^\\]$/, '?'),
  );
}

/** Whether bytes are text that a terminal can show. */
export function isText(bytes: Uint8Array): boolean {
  return isUtf8(bytes) && !BINARY.test(Buffer.from(bytes).toString());
}

/** Prints rows for people, as a table whose head is the names of `columns`, or else one JSON document a line. */
export async function printRows<T extends object>(
  rows: readonly T[],
  columns: readonly (keyof T & string)[],
  isJson = !isForPeople(),
): Promise<void> {
  if (isJson) return print(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const cells = rows.map((row) => columns.map((name) => cellOf(row[name])));
  const lines = [columns.map((name) => name.toUpperCase()), ...cells];
  const widths = columns.map((_name, index) => Math.max(...lines.map((line) => line[index]!.length)));
  await print(
    lines
      .map(
        (line) =>
          `${line
            .map((cell, at) => cell.padEnd(widths[at]!))
            .join('  ')
            .trimEnd()}\n`,
      )
      .join(''),
  );
}

/** Prints one thing: a member a line for people, or else its JSON. */
export async function printOne(value: object, isJson = !isForPeople()): Promise<void> {
  if (isJson) return print(`${JSON.stringify(value)}\n`);
  const members = membersOf(value);
  const width = Math.max(0, ...members.map(([name]) => name.length));
  await print(members.map(([name, text]) => `${name.padEnd(width)}  ${text}\n`).join(''));
}

/** A new token. Only people have to be told that there is no second time. */
export async function printToken(text: string): Promise<void> {
  if (isForPeople()) console.error('Keep it: it is shown this once.');
  await print(`${text}\n`);
}

/** Nested members by their path. */
function membersOf(value: object, path = ''): [string, string][] {
  return Object.entries(value).flatMap(([name, member]: [string, unknown]) =>
    member !== null && typeof member === 'object' && !isWords(member) && Object.keys(member).length > 0
      ? membersOf(member, `${path}${name}.`)
      : [[visible(`${path}${name}`), cellOf(member)] as [string, string]],
  );
}

/** A list of sentences has a line for each. */
function isWords(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.length > 0 && !value.some((each) => / |^\[object/.test(String(each)));
}

function cellOf(value: unknown): string {
  if (value === undefined || value === null) return '-';
  if (isWords(value)) return visible(value.join(','));
  if (typeof value === 'object') return visible(Object.keys(value).length > 0 ? JSON.stringify(value) : '-');
  if (typeof value === 'number' && !Number.isInteger(value)) return String(Number(value.toPrecision(3)));
  return visible(String(value as string));
}

/** Asks on the terminal. */
export async function confirm(question: string): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

/** Everything on stdin. */
export async function readInput(): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks) as Buffer<ArrayBuffer>;
}

/** `1 page`, `2 pages`, `1,000 pages` */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}
