import type { RawAnswer } from '../../support/raw-http.js';
import { ABSENT, type Answer, type Request } from './register.js';

/** A request for a key, as it is sent. */
export interface Sent {
  readonly key: string;
  readonly request: Request;
  /** The tag of its condition. */
  readonly tag: string | undefined;
}

/** What the server said of a request; undefined where the outcome is unknown. */
export interface Said {
  readonly answer: Answer | undefined;
  /** The entry after it, or as it was read. */
  readonly entry?: { readonly tag: string; readonly value: string };
  /** The tag in a refusal, whose value may be known only later. */
  readonly named?: string;
}

const UNKNOWN: Said = { answer: undefined };
const LINES = { get: 'GET /kv/*', put: 'PUT /kv/*', incr: 'PATCH /kv/*?incr=1', delete: 'DELETE /kv/*' };

/** @param once the Idempotency-Key, if it has one */
export function bytesOf({ key, request, tag }: Sent, once?: string): string {
  const isCreation = request.kind === 'put' && request.ifAbsent;
  return message(
    LINES[request.kind].replace('*', encodeURIComponent(key)),
    [
      ...(tag === undefined ? [] : [`If-Match: ${tag}`]),
      ...(isCreation ? ['If-None-Match: *'] : []),
      ...(once ? [`Idempotency-Key: ${once}`] : []),
    ],
    request.kind === 'put' ? request.value : undefined,
  );
}

export function batchBytes(parts: readonly Sent[], atomic: boolean): string {
  const ops = parts.map(({ key, request, tag }) => ({
    op: request.kind,
    key,
    value: request.kind === 'put' ? request.value : undefined,
    ifMatch: tag,
    ifNoneMatch: request.kind === 'put' && request.ifAbsent ? '*' : undefined,
  }));
  return message('POST /batch', [], JSON.stringify({ atomic, ops }));
}

function message(line: string, headers: readonly string[], body: string | undefined): string {
  const about = body === undefined ? [] : ['Content-Type: text/plain', `Content-Length: ${body.length}`];
  return [`${line} HTTP/1.1`, 'Host: localhost', ...headers, ...about, '', body ?? ''].join('\r\n');
}

/** Returns what an answer says; undefined if nothing was applied, as if nobody had asked. */
export function saidBy({ request }: Sent, answer: RawAnswer | undefined): Said | undefined {
  if (!answer) return unknown(request);
  const { status, headers, body } = answer;
  return interpret(request, { status, tag: headers['etag'], text: body });
}

/** Returns what the answer to an atomic batch says of its parts, up to the one that was refused. */
export function saidByAtomic(parts: readonly Sent[], answer: RawAnswer | undefined): Said[] {
  if (answer?.status === 503) return [];
  if (!answer || answer.status === 504) return parts.map(() => UNKNOWN);
  if (answer.status !== 412) return saidByEach(parts, answer) as Said[];
  const { index } = JSON.parse(answer.body) as { index: number };
  const held: Said[] = parts.slice(0, index).map(() => ({ answer: { kind: 'held' } }));
  return [...held, saidBy(parts[index]!, answer)!];
}

/** Returns what the answer to a batch that is not atomic says of each part. */
export function saidByEach(
  parts: readonly Sent[],
  answer: RawAnswer | undefined,
): readonly (Said | undefined)[] {
  if (!answer || answer.status !== 200) return parts.map((part) => saidBy(part, answer));
  const { results } = JSON.parse(answer.body) as { results: Result[] };
  return results.map(({ status, etag, value = '', problem }, i) => {
    const tag = etag === undefined ? undefined : `"${etag}"`;
    return interpret(parts[i]!.request, { status, tag, text: problem ? JSON.stringify(problem) : value });
  });
}

interface Result {
  readonly status: number;
  readonly etag?: string;
  readonly value?: string;
  readonly problem?: object;
}

/** Returns the outcome of a request without an answer. A read that nobody has seen says nothing. */
function unknown({ kind }: Request): Said | undefined {
  return kind === 'get' ? undefined : UNKNOWN;
}

/** @param text the value or the problem */
function interpret(
  request: Request,
  { status, tag, text }: { status: number; tag: string | undefined; text: string },
): Said | undefined {
  if (status === 503) return undefined; // Nothing was applied.
  if (status === 504) return unknown(request);
  const { kind } = request;
  const isWritten = status === 200 || status === 201;
  if (kind === 'get' && status === 404) return { answer: { kind: 'found', value: ABSENT } };
  if (kind === 'get' && status === 200) return shown({ kind: 'found', value: text }, tag!, text);
  if (kind === 'put' && isWritten)
    return shown({ kind: 'done', created: status === 201 }, tag!, request.value);
  if (kind === 'incr' && isWritten) return shown({ kind: 'counted', value: text }, tag!, text);
  if (kind === 'delete' && status === 204) return { answer: { kind: 'done' } };
  if (status !== 412) throw new Error(`${kind} was answered ${status} ${text}`);
  const { etag } = JSON.parse(text) as { etag?: string };
  // An absent key has no tag.
  if (etag === undefined) return { answer: { kind: 'refused', value: ABSENT } };
  return { answer: { kind: 'refused' }, named: `"${etag}"` };
}

function shown(answer: Answer, tag: string, value: string): Said {
  return { answer, entry: { tag, value } };
}
