import { DatabaseError } from '../../errors.js';
import type { Condition } from '../../storage/condition.js';
import { MAX_STORED_KEY_BYTES } from '../../storage/entry.js';
import type { KeyRange } from '../../storage/key-range.js';
import type { RangePage, RangeQuery } from '../../storage/storage-engine.js';
import { describe, describeMembers, PIECE_BYTES, valueMember, valueMemberPieces } from '../entry-json.js';
import { isListed, taggedJson } from '../json-pieces.js';
import type { Parameters } from '../../http/request/parameters.js';

/** The parameters that say which keys are meant. */
export const RANGE_PARAMETERS = ['prefix', 'from', 'to'];
/** The parameters of a page. */
export const PAGE_PARAMETERS = [
  ...RANGE_PARAMETERS,
  'after',
  'limit',
  'delimiter',
  'values',
  'reverse',
  'count',
];
const MAX_ITEMS = 1000;
const DEFAULT_ITEMS = 100;

/** Returns the range that the parameters name. @throws DatabaseError `invalid-parameter` */
export function rangeIn(parameters: Parameters): KeyRange {
  return {
    prefix: parameters.keyText('prefix') ?? '',
    from: parameters.keyText('from'),
    to: parameters.keyText('to'),
  };
}

/** Returns the query of a page. @throws DatabaseError `invalid-parameter` */
export function pageQuery(parameters: Parameters): RangeQuery & { counted: boolean } {
  return {
    ...rangeIn(parameters),
    // A page may end with a key of a namespace, which is longer than others by its name.
    after: parameters.keyText('after', MAX_STORED_KEY_BYTES),
    limit: parameters.number('limit', 1, MAX_ITEMS, DEFAULT_ITEMS),
    delimiter: parameters.keyText('delimiter'),
    reverse: parameters.flag('reverse'),
    values: parameters.flag('values'),
    counted: parameters.flag('count'),
  };
}

/**
 * A page as JSON, in pieces: as one string, 16 MiB would hold up others when it is sent.
 */
export class Page {
  private constructor(
    readonly json: readonly Buffer[],
    readonly etag: string,
    readonly position: string | undefined,
    private readonly next: string | undefined,
  ) {}

  /**
   * @param positioned whether the page has to have its position, which not every engine makes for nothing
   * @param count is told how many bytes of memory the page takes, as it is made, and may refuse it
   */
  static async of(
    page: RangePage,
    values: boolean | undefined,
    positioned: boolean,
    count: (bytes: number) => void,
  ): Promise<Page> {
    // Values and text are in memory until the text is made.
    let bytes = values ? page.items.reduce((sum, { size }) => sum + size, 0) : 0;
    count(bytes);
    const parts = pageParts(page, values ?? false);
    const { json, etag } = await taggedJson(parts, (piece) => count((bytes += piece.length)));
    return new Page(json, etag, positioned ? page.position : undefined, page.next);
  }

  /** Whether the client has this very page, which is 304. */
  isKnown(condition: Condition | undefined): boolean {
    return isListed(condition?.ifNoneMatch, this.etag);
  }

  /** @throws DatabaseError `precondition-failed` if the client wanted another page than this one is now */
  require(condition: Condition | undefined): void {
    if (condition?.ifMatch === undefined || isListed(condition.ifMatch, this.etag)) return;
    const detail = `The condition does not hold for the page: its tag is "${this.etag}".`;
    throw new DatabaseError('precondition-failed', detail, { etag: this.etag });
  }

  /** Returns the Link header to the next page (RFC 8288). `base` precedes its path (PUBLIC_URL). */
  link(parameters: Parameters, base: string): string[] {
    if (this.next === undefined) return [];
    const pairs = [...parameters].filter(([name]) => name !== 'after' && name !== 'watch');
    const query = [...pairs, ['after', this.next] as const]
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join('&');
    return ['Link', `<${base}/kv?${query}>; rel="next"`];
  }
}

/** Yields the JSON of a page, an item or a piece of a large value at a time. */
function* pageParts({ items, groups, next, damaged }: RangePage, values: boolean): Generator<string> {
  yield '{"items":[';
  for (const [i, item] of items.entries()) {
    if (i > 0) yield ',';
    if (!values) yield describe(item);
    else if (item.value!.length <= PIECE_BYTES)
      yield `{${describeMembers(item)},${valueMember(item.value!)}}`;
    else {
      yield `{${describeMembers(item)},`;
      yield* valueMemberPieces(item.value!);
      yield '}';
    }
  }
  const missing = damaged ? `,"damaged":${JSON.stringify(damaged)}` : '';
  yield `],"prefixes":${JSON.stringify(groups)},"next":${JSON.stringify(next ?? null)}${missing}}\n`;
}
