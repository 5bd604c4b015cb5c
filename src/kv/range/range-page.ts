import { createHash } from 'node:crypto';
import { DatabaseError } from '../../errors.js';
import type { Condition } from '../../storage/condition.js';
import type { RangePage, RangeQuery } from '../../storage/storage-engine.js';
import { describe, describeMembers, valueMember } from '../entry-json.js';
import type { Parameters } from '../../http/request/parameters.js';

/** The parameters of a page. */
export const PAGE_PARAMETERS = ['prefix', 'after', 'limit', 'delimiter', 'values', 'reverse', 'count'];
const MAX_ITEMS = 1000;
const DEFAULT_ITEMS = 100;

/** Returns the query of a page. @throws DatabaseError `invalid-parameter` */
export function pageQuery(parameters: Parameters): RangeQuery & { counted: boolean } {
  return {
    prefix: parameters.keyText('prefix') ?? '',
    after: parameters.keyText('after'),
    limit: parameters.number('limit', 1, MAX_ITEMS, DEFAULT_ITEMS),
    delimiter: parameters.keyText('delimiter'),
    reverse: parameters.flag('reverse'),
    values: parameters.flag('values'),
    counted: parameters.flag('count'),
  };
}

/** A page as JSON. Its tag is the digest of its text: strong, and the same on every engine. */
export class Page {
  readonly json: string;
  readonly etag: string;
  private readonly next: string | undefined;

  constructor({ items, groups, next, damaged }: RangePage, values = false) {
    const described = items.map((item) =>
      values ? `{${describeMembers(item)},${valueMember(item.value!)}}` : describe(item),
    );
    const rest = `"prefixes":${JSON.stringify(groups)},"next":${JSON.stringify(next ?? null)}`;
    const missing = damaged ? `,"damaged":${JSON.stringify(damaged)}` : '';
    this.json = `{"items":[${described.join(',')}],${rest}${missing}}`;
    this.etag = createHash('sha256').update(this.json).digest('base64url').slice(0, 22);
    this.next = next;
  }

  /** Whether the client has this very page, which is 304. */
  isKnown(condition: Condition | undefined): boolean {
    return matches(condition?.ifNoneMatch, this.etag);
  }

  /** @throws DatabaseError `precondition-failed` if the client wanted another page than this one is now */
  require(condition: Condition | undefined): void {
    if (condition?.ifMatch === undefined || matches(condition.ifMatch, this.etag)) return;
    const detail = `The condition does not hold for the page: its tag is "${this.etag}".`;
    throw new DatabaseError('precondition-failed', detail, { etag: this.etag });
  }

  /** Returns the Link header to the next page (RFC 8288). */
  link(parameters: Parameters): string[] {
    if (this.next === undefined) return [];
    const pairs = [...parameters].filter(([name]) => name !== 'after');
    const query = [...pairs, ['after', this.next] as const]
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join('&');
    return ['Link', `</kv?${query}>; rel="next"`];
  }
}

function matches(tags: '*' | readonly string[] | undefined, etag: string): boolean {
  return tags === '*' || tags?.includes(etag) === true;
}
