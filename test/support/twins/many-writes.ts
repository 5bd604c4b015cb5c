import type { Random } from '../random.js';
import type { Call } from './step.js';
import { queryOf, type Words } from './words.js';

const NDJSON = 'application/x-ndjson';

/** Random imports and batches. */
export class ManyWrites {
  constructor(
    private readonly random: Random,
    private readonly words: Words,
    /** Whether atomic batches may name any keys, or only keys that share a `{tag}`. */
    private readonly acrossKeys: boolean,
  ) {}

  imported(): Call {
    const { random, words } = this;
    const lines = Array.from({ length: random.below(8) }, () => this.line());
    const pairs = words.some(['mode=create', 'mode=upsert', 'mode=x', 'dry-run=true'], 0.2);
    const type = random.pick([NDJSON, NDJSON, 'application/jsonl', 'text/plain', 'text/html']);
    const end = random.pick(['\n', '\n', '\r\n', '']);
    const body = Buffer.from(lines.map((line) => line + end).join('')).toString('latin1');
    return { method: 'POST', target: `/kv${queryOf(pairs)}`, headers: { 'Content-Type': type }, body };
  }

  private line(): string {
    const { random, words } = this;
    const rare = random.pick([
      '',
      '{',
      '[]',
      '{"end":true,"count":1,"sha256":"x"}',
      '{"key":"a"}',
      '{"key":1}',
      '\ufeff{}',
    ]);
    if (random.chance(0.08)) return rare;
    const value = random.pick([
      { value: 'x' },
      { value: '1' },
      { base64: '/w==', type: 'x/y' },
      { value: 1 },
    ]);
    return JSON.stringify({ key: words.key(), ...value, ...(random.chance(0.3) && words.expiryMember()) });
  }

  batch(): Call {
    const { random } = this;
    const isAtomic = random.chance(0.6);
    const isTied = isAtomic && !(this.acrossKeys && random.chance(0.7));
    const ops = Array.from({ length: random.below(7) }, () => this.operation(isTied));
    const atomic = isAtomic ? random.pick([undefined, true]) : false;
    const text = random.chance(0.02) ? '{"ops":' : JSON.stringify({ atomic, ops });
    const type = random.pick(['application/json', 'application/json', 'text/plain', 'text/html']);
    const body = Buffer.from(text).toString('latin1');
    return { method: 'POST', target: '/batch', headers: { 'Content-Type': type }, body };
  }

  private operation(isTied: boolean): object {
    const { random, words } = this;
    const key = random.chance(0.02) ? random.pick(['', 1, null, 'k'.repeat(1025)]) : words.key(isTied);
    const conditions = random.chance(0.7)
      ? {}
      : random.pick([
          { ifMatch: words.tag() },
          { ifMatch: words.tags() },
          { ifNoneMatch: '*' },
          { ifMatch: '*' },
        ]);
    const value = random.pick([
      { value: 'x' },
      { value: { a: [1] } },
      { value: '5' },
      { base64: 'AP8=', type: 'x/y' },
      {},
    ]);
    switch (random.below(7)) {
      case 0:
        return { op: 'check', key, ...conditions };
      case 1:
        return { op: 'get', key };
      case 2:
        return {
          op: 'incr',
          key,
          by: random.pick([1, '-2', words.number()]),
          ...words.expiryMember(),
          ...conditions,
        };
      case 3:
        return { op: 'touch', key, ttl: words.ttl(), ...conditions };
      case 4:
        return { op: 'delete', key, ...conditions };
      default:
        return {
          op: random.chance(0.02) ? 'x' : 'put',
          key,
          ...value,
          ...words.expiryMember(),
          ...conditions,
        };
    }
  }
}
