import { NDJSON_TYPES } from './media-type.js';

const EVENTS = mediaRange('text/event-stream');
const NDJSON = mediaRange(`(?:${NDJSON_TYPES.join('|')})`);
const REFUSED = /;\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)/i;

/** Whether Accept asks for Server-Sent Events. */
export function acceptsEvents(accept: string | undefined): boolean {
  return accept !== undefined && names(accept, EVENTS);
}

/** Whether Accept asks for lines of JSON rather than one document. */
export function acceptsNdjson(accept: string | undefined): boolean {
  return accept !== undefined && names(accept, NDJSON);
}

/** Whether Accept names a type, and not with `q=0`, which refuses it (RFC 9110, 12.4.2). Wildcards name nothing. */
function names(accept: string, range: RegExp): boolean {
  const match = range.exec(accept);
  return match !== null && !REFUSED.test(match[1]!);
}

/** Matches one element of Accept; its only group are the parameters. */
function mediaRange(type: string): RegExp {
  return new RegExp(`(?:^|[\\s,])${type}\\s*((?:;[^,]*)?)(?:,|$)`, 'i');
}
