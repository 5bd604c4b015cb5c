import type { Random } from '../random.js';
import { positionAt, tagAt } from './step.js';

/** Pieces of keys: few, so that requests meet each other's entries. */
const UNITS = [
  'a',
  'b',
  '/',
  'b/',
  '.',
  'é',
  '😀',
  '\uffff',
  '\0',
  '%',
  '+',
  ' ',
  '{t}',
  '"',
  '`',
  '\\',
  '\n',
];
const MOST_PIECES = 3;
/** Keys that are special to something, or look like a way out. */
const SPECIAL = [
  [
    '.',
    '..',
    '../a',
    '../app10/x',
    'a/../b',
    '/',
    '//',
    'a/',
    'app1/',
    'app1/a',
    'app10/x',
    '/app1/a',
    'app1',
  ],
  ['__proto__', 'constructor', 'a=b', 'a&b', '?', '#', 'key', '$&', '%2F', '<<x>>'],
  ['k'.repeat(1023), 'k'.repeat(1024), '😀'.repeat(256), 'k'.repeat(1025), 'é'.repeat(513), 'k'.repeat(1281)],
].flat();
/** Text for a URL that says no key. */
const BROKEN = ['%', '%zz', '%FF', '%C3%28', '%ED%A0%80', '%4', ''];
/** Longer than a run takes, or none at all: what ends meanwhile would end at another step of the other server. */
const TTLS = [
  '600000',
  '0600000',
  '600000s',
  '100h',
  '7d',
  'none',
  'keep',
  '365d',
  '0',
  '-1',
  '1x',
  '1e9',
  '',
  '+600000',
  '36526d',
];
const EXPIRIES = [
  '2099-01-31T12:00:00Z',
  '2099-01-31T14:00:00%2B02:00',
  '2099-02-30T12:00:00Z',
  '2099-01-31',
  '2099-01-31T12:00:00+02:00',
  'never',
];
const NUMBERS = [
  '1',
  '-1',
  '0',
  '9223372036854775807',
  '-9223372036854775808',
  '9223372036854775808',
  '1.5',
  '',
  '+1',
];

/** Random words of requests. */
export class Words {
  constructor(readonly random: Random) {}

  /** A key; mostly one of few. @param isTied whether it shares a `{tag}` with others */
  key(isTied = false): string {
    const { random } = this;
    const chosen = random.chance(0.06) ? random.pick(SPECIAL) : random.text(UNITS, MOST_PIECES) || 'a';
    return isTied ? `{t}${chosen}` : chosen;
  }

  /** A key as it stands in a URL: escaped in one of several ways, or broken. */
  escaped(key: string): string {
    const { random } = this;
    if (random.chance(0.02)) return random.pick(BROKEN);
    const whole = encodeURIComponent(key);
    switch (random.below(8)) {
      case 0:
        return whole.replaceAll('%2F', '/');
      case 1:
        return whole.replaceAll(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase());
      case 2:
        return whole.replaceAll('%20', '+');
      case 3:
        return key.replaceAll(/[^\w/.~-]/gu, (character) => encodeURIComponent(character));
      default:
        return whole;
    }
  }

  ttl(): string {
    return this.random.pick(TTLS);
  }

  number(): string {
    return this.random.pick(NUMBERS);
  }

  /** `ttl`, `expires`, both or something else, as pairs of a query. */
  expiry(): string[] {
    const { random } = this;
    switch (random.below(10)) {
      case 0:
        return [`ttl=${this.ttl()}`, `ttl=${this.ttl()}`];
      case 1:
        return [`ttl=${this.ttl()}`, `expires=${random.pick(EXPIRIES)}`];
      case 2:
      case 3:
        return [`expires=${random.pick(EXPIRIES)}`];
      default:
        return [`ttl=${this.ttl()}`];
    }
  }

  /** Expiry members of JSON. */
  expiryMember(): object {
    const { random } = this;
    if (random.chance(0.6)) return {};
    return random.pick([
      { ttl: this.ttl() },
      { ttl: 600000 },
      { ttl: 1.5 },
      { expires: null },
      { expires: '2099-01-31T12:00:00Z' },
      { expires: '2001-01-31T12:00:00Z' },
      { expires: 'soon' },
    ]);
  }

  tag(): string {
    return tagAt(Math.floor(this.random.below(40) ** 2 / 100));
  }

  position(): string {
    return positionAt(this.random.below(30));
  }

  /** A list of tags as a conditional header has it. */
  tags(): string {
    const { random } = this;
    const tag = `"${this.tag()}"`;
    return random.pick([
      tag,
      tag,
      tag,
      '*',
      `W/${tag}`,
      `"${this.tag()}-gzip"`,
      `${tag}, "${this.tag()}"`,
      `"none",${tag}`,
      this.tag(),
      '"',
      '',
    ]);
  }

  /** A date as headers have it: long ago, to come, in older forms, or none. */
  date(): string {
    return this.random.pick([
      'Sun, 06 Nov 1994 08:49:37 GMT',
      'Sunday, 06-Nov-94 08:49:37 GMT',
      'Sun Nov  6 08:49:37 1994',
      'Fri, 06 Nov 2099 08:49:37 GMT',
      'Sun, 31 Feb 1994 08:49:37 GMT',
      'yesterday',
    ]);
  }

  /** Bytes of a value, and a type that mostly fits them. */
  value(): { body: string; type: string | undefined } {
    const { random } = this;
    const text = Buffer.from(random.text(['text', 'é', '😀', '\n', '"', '\0'], 4)).toString('latin1');
    switch (random.below(9)) {
      case 0:
        return {
          body: random.bytes(random.below(40)).toString('latin1'),
          type: random.pick(['image/png', undefined]),
        };
      case 1:
      case 2:
        return { body: this.number(), type: random.pick(['application/json', undefined]) };
      case 3:
      case 4:
        return {
          body: this.json(),
          type: random.pick(['application/json', 'Application/JSON; charset=utf-8']),
        };
      case 5:
        return { body: '{"broken":', type: 'application/json' };
      case 6:
        return {
          body: text.repeat(random.chance(0.03) ? 20_000 : 1),
          type: random.pick([
            'multipart/form-data',
            'text/html',
            'x/y; z="1"',
            'é',
            'text',
            'application/x-www-form-urlencoded',
          ]),
        };
      default:
        return { body: text, type: random.pick([undefined, 'text/plain; charset=utf-8']) };
    }
  }

  json(): string {
    const { random } = this;
    const member = () => random.pick(['a', 'b', '__proto__', 'é']);
    const value = { [member()]: random.below(3), [member()]: { [member()]: random.pick([null, 'x', [1]]) } };
    return Buffer.from(random.chance(0.2) ? '[1.50,{"a":1e2}]' : JSON.stringify(value)).toString('latin1');
  }

  /** Some of `choices`. */
  some<T>(choices: readonly T[], share: number): T[] {
    return choices.filter(() => this.random.chance(share));
  }
}

/** The query of a URL; nothing if there are no pairs. */
export function queryOf(pairs: readonly string[]): string {
  return pairs.length > 0 ? `?${pairs.join('&')}` : '';
}
