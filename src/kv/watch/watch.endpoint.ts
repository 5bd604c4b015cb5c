import { Injectable } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { DatabaseError } from '../../errors.js';
import { startEvents } from '../../http/answer/answer.js';
import {
  StorageEngine,
  type Awaitable,
  type Change,
  type WatchTarget,
} from '../../storage/storage-engine.js';
import { EVENT_STREAM, prefers, type TypeName } from '../../http/request/accept.js';
import { Parameters } from '../../http/request/parameters.js';
import { preferenceOf } from '../../http/request/prefer.js';
import { leaveOutDuration } from '../../http/server/request-meter.js';
import { whenHalfClosed, whenOver } from '../../http/request/when-over.js';
import { RETRY } from './watch-events.js';
import { withoutOverlaps, type Watcher } from './audiences.js';
import { WatchHub } from './watch-hub.js';
import { WatchLimit } from './watch-limit.js';
import { NOW, WatchSession } from './watch-session.js';

const MAX_WAIT_SECONDS = 60;
const PROBE_MS = 200;

/** Follows a readable URL: live as Server-Sent Events, or by a long-poll. */
@Injectable()
export class WatchEndpoint {
  constructor(
    private readonly engine: StorageEngine,
    private readonly hub: WatchHub,
    private readonly limit: WatchLimit,
  ) {}

  /** Answers with events for as long as the client stays. @throws DatabaseError `busy` if too many are watching */
  async stream(
    request: IncomingMessage,
    response: ServerResponse,
    targets: readonly WatchTarget[],
    since: string | undefined,
  ): Promise<void> {
    const onGone = (listener: () => void) => whenOver(request, response, listener);
    this.count(request, response, onGone);
    startEvents(response);
    leaveOutDuration(response);
    response.write(RETRY);
    // An empty id is none, as for browsers.
    const lastId = request.headers['last-event-id'] || undefined;
    const from = lastId === undefined ? (since === 'now' ? NOW : since) : String(lastId);
    try {
      const { engine = this.engine, record } = request.access ?? {};
      const followed = withoutOverlaps(targets);
      const namespace = record?.namespace ?? '';
      await new WatchSession(engine, this.hub, response, followed, onGone, namespace).run(from);
    } catch (error) {
      // The client is gone or does not read: it comes again by itself.
      response.destroy();
      if (!(error instanceof DatabaseError)) throw error;
    }
  }

  /** Counts a watcher until it goes. One that may be gone is in nobody's way until it is known to have stayed. */
  private count(
    request: IncomingMessage,
    response: ServerResponse,
    onGone: (listener: () => void) => void,
  ): void {
    let leave = this.limit.enter(request);
    onGone(() => leave());
    whenHalfClosed(request, response, () => {
      leave();
      void stillReads(response).then((stays) => {
        if (!stays) return;
        if (this.limit.allows(request)) leave = this.limit.enter(request);
        else response.destroy();
      });
    });
  }

  /**
   * Reads until there is news, the time is over, or the server stops. Returns what was read last.
   * @throws DatabaseError if the token has ended meanwhile
   * @param wait seconds
   * @param read reads the present state
   * @param isKnown whether the client knows that state already
   */
  async hold<T>(
    response: ServerResponse,
    target: WatchTarget,
    wait: number,
    read: () => Awaitable<T>,
    isKnown: (state: T) => boolean,
  ): Promise<T> {
    const { req: request } = response;
    if (!this.limit.allows(request)) return read();
    const leaveLimit = this.limit.enter(request);
    response.setHeader('Preference-Applied', `wait=${wait}`);
    leaveOutDuration(response);
    const waiter = new Waiter(wait * 1000);
    const leave = this.hub.join([target], waiter, request.access?.record.namespace ?? '');
    whenOver(request, response, () => waiter.end());
    request.refuse = (error) => waiter.end(error);
    // The client is answered, but if it is gone, which nothing tells before, it is in nobody's way.
    whenHalfClosed(request, response, leaveLimit);
    try {
      await this.hub.follow();
      for (;;) {
        const state = await read();
        if (waiter.refusal) throw waiter.refusal;
        if (waiter.over || !isKnown(state)) return state;
        await waiter.news();
      }
    } finally {
      leave();
      leaveLimit();
      waiter.end();
      request.refuse = undefined;
    }
  }
}

/**
 * Returns whether a client that has ended its side of the connection still reads. The system of one that is gone says so
 * after the first write, which fails the second.
 */
async function stillReads(response: ServerResponse): Promise<boolean> {
  for (let writes = 0; writes < 2 && !isOver(response); writes++) {
    response.write(RETRY);
    await pause(PROBE_MS, undefined, { ref: false });
  }
  return !isOver(response);
}

function isOver({ destroyed, writableEnded }: ServerResponse): boolean {
  return destroyed || writableEnded;
}

/** A long-poll that waits for something to happen. */
class Waiter implements Watcher {
  over = false;
  /** Why the client is not told what there is. */
  refusal: DatabaseError | undefined;
  private happened = false;
  private wake: (() => void) | undefined;
  private readonly timer: NodeJS.Timeout;

  constructor(milliseconds: number) {
    this.timer = setTimeout(() => this.end(), milliseconds);
  }

  deliver(_events: Buffer, _changes: readonly Change[]): void {
    this.happened = true;
    this.wake?.();
  }

  heartbeat(): void {}

  end(refusal?: DatabaseError): void {
    clearTimeout(this.timer);
    this.refusal ??= refusal;
    this.over = true;
    this.wake?.();
  }

  /** Resolves at once if something has happened since the last call. */
  async news(): Promise<void> {
    if (!this.happened && !this.over) await new Promise<void>((resolve) => (this.wake = resolve));
    this.happened = false;
  }
}

/** The parameter that asks for events. Every readable URL takes it; HEAD, which never streams, does nothing with it. */
export const WATCH_PARAMETER = 'watch';
const ASKS_TO_WATCH = /[?&]watch=true(?:&|$)/;

/**
 * Whether the client asks for events: with `?watch=true`, or because it likes them more than the plain answer, as
 * browsers' EventSource says by itself.
 */
export function wantsEvents({ headers, method, url }: IncomingMessage, plain: TypeName): boolean {
  return method === 'GET' && (ASKS_TO_WATCH.test(url!) || prefers(headers.accept, EVENT_STREAM, plain));
}

/** The parameters of a watch: `targets`, which say what is watched, and where the client goes on. */
export function watchParameters(request: IncomingMessage, targets: readonly string[]): Parameters {
  const parameters = new Parameters(request.url!, [...targets, 'since', WATCH_PARAMETER], targets);
  parameters.flag(WATCH_PARAMETER);
  return parameters;
}

/** The seconds of `Prefer: wait=n` (RFC 7240), at most 60; undefined if there is none, or one that is malformed. */
export function waitOf(request: IncomingMessage): number | undefined {
  const seconds = request.method === 'GET' ? preferenceOf(request, 'wait') : undefined;
  if (seconds === undefined || !/^[0-9]+$/.test(seconds)) return undefined;
  return Math.min(Number(seconds), MAX_WAIT_SECONDS);
}
