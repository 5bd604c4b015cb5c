import type { Random } from '../random.js';
import type { Call } from './step.js';
import { ManyWrites } from './many-writes.js';
import { queryOf, Words } from './words.js';

const NDJSON = 'application/x-ndjson';
const ACCEPTS = [
  '*/*',
  'application/json',
  NDJSON,
  'application/jsonl',
  'text/html',
  'application/json;q=0.5, */*;q=0.1',
  '',
];
const METHODS = ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE', 'OPTIONS', 'TRACE', 'BREW'];
const MERGE_PATCH = 'application/merge-patch+json';

/** Random requests of every route that shows or changes entries. */
export class Calls {
  readonly words: Words;
  private readonly many: ManyWrites;

  constructor(
    private readonly random: Random,
    acrossKeys = true,
  ) {
    this.words = new Words(random);
    this.many = new ManyWrites(random, this.words, acrossKeys);
  }

  next(): Call {
    const roll = this.random.below(100);
    if (roll < 12) return this.original();
    if (roll < 32) return this.put();
    if (roll < 46) return this.read();
    if (roll < 56) return this.patch();
    if (roll < 61) return this.remove();
    if (roll < 76) return this.page();
    if (roll < 79) return this.exported();
    if (roll < 81) return this.removeRange();
    if (roll < 85) return this.many.imported();
    if (roll < 97) return this.many.batch();
    return this.strange();
  }

  /** `/`, `/get`, `/set`. */
  private original(): Call {
    const { random, words } = this;
    const key = words.escaped(words.key());
    const target = random.pick([
      '/',
      `/get?key=${key}`,
      `/get?key=${key}`,
      `/get?key=${key}`,
      `/set?${key}=${words.escaped(words.key())}`,
      `/set?${key}=${words.escaped(words.key())}`,
      `/set?${key}=`,
      `/set?${key}`,
      `/set?${key}=1&b=2`,
      `/get?key=${key}&key=b`,
      '/get',
      '/set',
      '/set?=1',
      `/get?${key}`,
    ]);
    return { method: random.chance(0.9) ? 'GET' : random.pick(METHODS), target };
  }

  /** `/kv/{key}` in one of its spellings, with the pairs of a query. */
  entry(pairs: readonly string[] = [], key = this.words.key()): string {
    const escaped = this.words.escaped(key);
    const all = this.random.chance(0.02) ? [...pairs, 'x=1'] : pairs;
    if (this.random.chance(0.5)) return `/kv/${escaped}${all.length > 0 ? `?${all.join('&')}` : ''}`;
    return `/kv?${[...all, `key=${escaped}`].join('&')}`;
  }

  /** The header fields of a condition, if any. */
  private condition(share = 0.35): Record<string, string> {
    const { random, words } = this;
    if (!random.chance(share)) return {};
    const fields: [string, string][] = [
      ['If-Match', words.tags()],
      ['If-None-Match', words.tags()],
      ['If-Modified-Since', words.date()],
      ['If-Unmodified-Since', words.date()],
    ];
    return Object.fromEntries([random.pick(fields), ...words.some(fields, 0.1)]);
  }

  put(key?: string): Call {
    const { random, words } = this;
    const { body, type } = words.value();
    const headers = {
      ...(type !== undefined && { 'Content-Type': Buffer.from(type).toString('latin1') }),
      ...this.condition(0.25),
      ...(random.chance(0.01) && { 'Content-Range': 'bytes 0-1/2' }),
      ...(random.chance(0.01) && { 'Content-Encoding': random.pick(['gzip', 'identity']) }),
    };
    return {
      method: 'PUT',
      target: this.entry(random.chance(0.2) ? words.expiry() : [], key),
      headers,
      body,
    };
  }

  private read(): Call {
    const { random, words } = this;
    const ranges = [
      'bytes=0-1',
      'bytes=-2',
      'bytes=1-',
      'bytes=900-',
      'bytes=0-0,2-3',
      'bytes=2-1',
      'lines=1',
    ];
    const headers = {
      ...this.condition(0.3),
      ...(random.chance(0.15) && { Range: random.pick(ranges) }),
      ...(random.chance(0.05) && {
        'If-Range': random.pick([`"${words.tag()}"`, `W/"${words.tag()}"`, words.date()]),
      }),
      ...(random.chance(0.1) && { Accept: random.pick(ACCEPTS) }),
      ...(random.chance(0.02) && { 'Service-Worker': 'script' }),
    };
    return { method: random.chance(0.75) ? 'GET' : 'HEAD', target: this.entry(), headers };
  }

  private patch(): Call {
    const { random, words } = this;
    const headers = this.condition(0.2);
    if (random.chance(0.45)) {
      const pairs = [`incr=${words.number()}`, ...(random.chance(0.3) ? words.expiry() : [])];
      return { method: 'PATCH', target: this.entry(pairs), headers };
    }
    if (random.chance(0.5)) return { method: 'PATCH', target: this.entry(words.expiry()), headers };
    const type = random.pick([MERGE_PATCH, MERGE_PATCH, MERGE_PATCH, 'application/json']);
    const body = random.pick([words.json(), '{"a":null}', '{"b":{"a":2}}', '7', '', '{']);
    return { method: 'PATCH', target: this.entry(), headers: { ...headers, 'Content-Type': type }, body };
  }

  remove(key?: string): Call {
    return { method: 'DELETE', target: this.entry([], key), headers: this.condition(0.2) };
  }

  /** `prefix`, `from` and `to`. */
  private range(): string[] {
    const { random, words } = this;
    const text = () => (random.chance(0.2) ? '' : words.escaped(words.key()));
    return words.some([`prefix=${text()}`, `from=${text()}`, `to=${text()}`], 0.3);
  }

  private page(): Call {
    const { random, words } = this;
    const text = () => words.escaped(words.key());
    const pairs = words.some(
      [
        `after=${text()}`,
        `limit=${random.pick(['1', '2', '3', '10', '1000', '1001', '0', 'x'])}`,
        `delimiter=${random.pick([text(), '/', '/', 'b', '%00'])}`,
        `values=${random.pick(['true', 'true', 'false', '1'])}`,
        `reverse=${random.pick(['true', 'true', 'false', ''])}`,
        `count=${random.pick(['true', 'false'])}`,
        `limit=2`,
      ],
      0.3,
    );
    const all = [...this.range(), ...pairs, ...words.some(['x=1', `key=${text()}`], 0.01)];
    const headers = { ...this.condition(0.15), ...(random.chance(0.1) && { Accept: random.pick(ACCEPTS) }) };
    return { method: random.chance(0.8) ? 'GET' : 'HEAD', target: `/kv${queryOf(all)}`, headers };
  }

  private exported(): Call {
    const { random } = this;
    const headers = { Accept: NDJSON, ...(random.chance(0.3) && { Prefer: 'handling=lenient' }) };
    return { method: random.chance(0.8) ? 'GET' : 'HEAD', target: `/kv${queryOf(this.range())}`, headers };
  }

  private removeRange(): Call {
    const { words } = this;
    const pairs = words.some(['dry-run=true', 'dry-run=1', 'confirm=all', 'confirm=yes', 'x=1'], 0.15);
    return {
      method: 'DELETE',
      target: `/kv${queryOf([...this.range(), ...pairs])}`,
      headers: this.condition(0.03),
    };
  }

  batch(): Call {
    return this.many.batch();
  }

  /** What no route takes, or not in this way. */
  private strange(): Call {
    const { random, words } = this;
    const key = words.escaped(words.key());
    const target = random.pick([
      '/nowhere',
      `/app1/${key}`,
      '/kv/',
      '/batch',
      '/problems/missing-key',
      '/Get?key=a',
      '/kv?',
      '/kv?key',
      `/kv/${key}`,
      '//',
    ]);
    const headers = random.pick<Record<string, string>>([
      {},
      {},
      { 'Sec-Fetch-Site': 'cross-site' },
      { Origin: 'http://elsewhere.example' },
      { Host: 'elsewhere.example' },
      { Expect: 'x' },
    ]);
    return { method: random.pick(METHODS), target, headers };
  }
}
