import { Injectable } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Tokens } from '../../auth/tokens.js';
import { AppConfig } from '../../config/app-config.js';
import { DatabaseError } from '../../errors.js';
import { answerEmpty, answerJsonPieces, vary } from '../../http/answer/answer.js';
import { makeLarge } from '../../http/answer/large-answers.js';
import { countUnsent, refuseIfFull, sizeCheck } from '../../http/answer/unsent-answers.js';
import type { Parameters } from '../../http/request/parameters.js';
import { conditionOf } from '../../http/request/preconditions.js';
import { LOGGED_VALUE_BYTES } from '../../storage/storage-engine.js';
import { Databases } from '../databases.js';
import { httpDate } from '../entry-json.js';
import { isListed, taggedJson } from '../json-pieces.js';
import { checkKey, pathOf } from '../key.js';
import { momentIn, notATag } from '../past/moment-name.js';
import { answerEntry, answerHead } from './entry-answer.js';
import { historyParts } from './history-json.js';
import { entryOf, linksOf, present, versionPath, withQuery, type Memento } from './memento.js';

const MAX_ITEMS = 1000;
const DEFAULT_ITEMS = 100;
/** Bytes of values on one page. */
const PAGE_BYTES = 4 * 2 ** 20;

/** Answers reads of what a key was. */
@Injectable()
export class PastEndpoint {
  constructor(
    private readonly databases: Databases,
    private readonly tokens: Tokens,
    private readonly config: AppConfig,
  ) {}

  /** Answers a page of the history of `key`. @throws DatabaseError `invalid-parameter`, `history-gone` */
  async answerHistory(
    request: IncomingMessage,
    response: ServerResponse,
    key: string,
    parameters: Parameters,
  ): Promise<void> {
    checkKey(key);
    const after = parameters.get('after');
    const limit = parameters.number('limit', 1, MAX_ITEMS, DEFAULT_ITEMS);
    const values = parameters.get('values') === undefined || parameters.flag('values');
    const condition = conditionOf(request);
    const { past } = this.databases.of(request);
    const make = async () => {
      if (values) refuseIfFull(response);
      const page = await past.history(key, { after, limit, maxBytes: PAGE_BYTES });
      if (!page) throw notATag('after', after!);
      const isKnown = await this.tokens.knownTo(
        request.access,
        page.changes.flatMap(({ by }) => by ?? []),
      );
      let bytes = 0;
      const count = (piece: Buffer) => countUnsent(response, (bytes += piece.length));
      return { page, ...(await taggedJson(historyParts(page, values, isKnown), count)) };
    };
    const { page, json, etag } = await makeLarge(make);
    const headers = ['ETag', `"${etag}"`, ...vary(response), ...this.linkToNext(key, parameters, page.next)];
    if (isListed(condition?.ifNoneMatch, etag)) answerEmpty(response, 304, headers);
    else await answerJsonPieces(response, json, headers);
  }

  /** Answers `key` as it was at the moment that `at` names, a memento (RFC 7089, 2.2). */
  async answerAt(request: IncomingMessage, response: ServerResponse, key: string, at: string): Promise<void> {
    const version = await this.version(request, key, 'at', at);
    await this.answerMemento(request, response, version, vary(response));
  }

  /** Answers `key` as it was at a time that Accept-Datetime asks for, and says where that version is (RFC 7089, 4.1.2). */
  async answerNegotiated(
    request: IncomingMessage,
    response: ServerResponse,
    key: string,
    time: number,
  ): Promise<void> {
    checkKey(key);
    const { past } = this.databases.of(request);
    // An HTTP date is a whole second: a version of its end is meant, too, so that Memento-Datetime leads to its version.
    const moment = await past.find({ time: time + 999 });
    const version = present(key, await past.version(key, moment!));
    const place = this.config.publicUrl + versionPath(key, version.entry.etag);
    const [name, value] = vary(response) as [string, string];
    const about = [name, `${value}, Accept-Datetime`, 'Content-Location', place];
    await this.answerMemento(request, response, version, about);
  }

  /**
   * Returns `key` as it was at the moment of a parameter, `name`.
   * @throws DatabaseError `invalid-parameter`, `history-gone`; MissingKeyError if it was absent then
   */
  private async version(request: IncomingMessage, key: string, name: string, text: string): Promise<Memento> {
    checkKey(key);
    const { past } = this.databases.of(request);
    return present(key, await past.version(key, await momentIn(past, name, text)));
  }

  /** Returns the value of a version. @throws DatabaseError `history-gone` if it is too large for the log and not that of the present entry */
  private async valueOf(
    request: IncomingMessage,
    response: ServerResponse,
    { entry, value }: Memento,
  ): Promise<Buffer> {
    if (value) return value;
    const database = this.databases.of(request);
    sizeCheck(response)?.(entry.size);
    const now = await database.find(entry.key);
    if (now?.etag === entry.etag) return now.value;
    const detail =
      `The log of changes keeps no values of more than ${LOGGED_VALUE_BYTES} bytes, and this version had ` +
      `${entry.size}.`;
    throw new DatabaseError('history-gone', detail, { limit: LOGGED_VALUE_BYTES });
  }

  /** Returns the value and the type that `key` had at the moment of `from`. @throws DatabaseError as `version` and `valueOf` do */
  async valueFrom(
    request: IncomingMessage,
    response: ServerResponse,
    key: string,
    from: string,
  ): Promise<{ value: Buffer; type: string }> {
    const version = await this.version(request, key, 'from', from);
    return { value: await this.valueOf(request, response, version), type: version.entry.type };
  }

  private async answerMemento(
    request: IncomingMessage,
    response: ServerResponse,
    version: Memento,
    about: readonly string[],
  ): Promise<void> {
    const { entry } = version;
    const headers = [
      ...about,
      'Memento-Datetime',
      httpDate(entry.modified),
      'Link',
      linksOf(version, this.config.publicUrl),
    ];
    if (request.method === 'HEAD') return answerHead(request, response, entry, headers);
    const value = await this.valueOf(request, response, version);
    await answerEntry(request, response, entryOf(version, value), headers);
  }

  private linkToNext(key: string, parameters: Parameters, next: string | undefined): string[] {
    if (next === undefined) return [];
    const others = [...parameters].filter(([name]) => name !== 'after');
    const query = [...others, ['after', next]].map(([name, value]) => `${name}=${value}`).join('&');
    return ['Link', `<${this.config.publicUrl}${withQuery(pathOf(key), query)}>; rel="next"`];
  }
}
