// The entries of large databases: `count` of them in random order, the same in every run, in the forms importers take.
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const AT_ONCE = 1000;
const TEXT = 'v'.repeat(100);

export const keyOf = (number) => `k${String(number).padStart(11, '0')}`;
/** The same in Lua, of a Lua expression. */
export const luaKeyOf = (number) => `string.format('k%011d', ${number})`;

/** 100 bytes. */
export const textOf = () => TEXT;
/** Every tenth entry is a counter. */
export const textOrCounterOf = (number) => (number % 10 === 0 ? '0' : TEXT);

const FORMS = {
  ndjson: (key, value) => `{"key":"${key}","value":"${value}"}\n`,
  resp: (key, value) => `*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${value.length}\r\n${value}\r\n`,
};

/** The keys of 0 to `count` - 1 in random order, each once, as text in the form `form`. */
export function* entries(count, form, valueOf = textOf) {
  const at = shuffled(count);
  for (let i = 0; i < count; i += AT_ONCE) {
    let text = '';
    for (let j = i; j < Math.min(count, i + AT_ONCE); j++) {
      const number = at(j);
      text += FORMS[form](keyOf(number), valueOf(number));
    }
    yield text;
  }
}

export async function writeEntries(file, count, form) {
  await pipeline(Readable.from(entries(count, form), { highWaterMark: 4 }), createWriteStream(file));
}

/** Imports entries into a side that runs. */
export async function fill(side, count, valueOf) {
  const body = Readable.from(entries(count, 'ndjson', valueOf), { highWaterMark: 4 });
  const headers = { 'Content-Type': 'application/x-ndjson' };
  const response = await side.ask('/kv', { method: 'POST', headers, body, duplex: 'half' });
  const report = await response.json();
  if (report.created !== count) throw new Error(`the import failed: ${JSON.stringify(report).slice(0, 500)}`);
}

/** A permutation of the numbers below `count`: multiplications and shifts that lose no bit, until one fits. */
function shuffled(count) {
  const bits = Math.max(4, 32 - Math.clz32(count - 1));
  const mask = 2 ** bits - 1;
  const shift = bits >> 1;
  const mix = (number) => {
    let mixed = Math.imul(number + 1, 0x9e3779b1) & mask;
    mixed = Math.imul(mixed ^ (mixed >>> shift), 0x85ebca6b) & mask;
    return mixed ^ (mixed >>> shift);
  };
  return (number) => {
    do number = mix(number);
    while (number >= count);
    return number;
  };
}
