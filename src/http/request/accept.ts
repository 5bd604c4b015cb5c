const EVENTS = mediaRange('text/event-stream');
const NDJSON = mediaRange('application/(?:x-)?ndjson');
const REFUSED = /;\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)/i;

/** Whether Accept asks for Server-Sent Events. */
export function acceptsEvents(accept: string | undefined): boolean {
  return accept !== undefined && names(accept, EVENTS);
}

/** Whether Accept asks for lines of JSON rather than one document. */
export function acceptsNdjson(accept: string | undefined): boolean {
  return accept !== undefined && names(accept, NDJSON);
}

/** Whether a type is named, and not to say that it is not wanted: `q=0` (RFC 9110, 12.4.2). Wildcards name nothing. */
function names(accept: string, range: RegExp): boolean {
  const match = range.exec(accept);
  return match !== null && !REFUSED.test(match[1]!);
}

/** One element of Accept, with its parameters as the only group. */
function mediaRange(type: string): RegExp {
  return new RegExp(`(?:^|[\\s,])${type}\\s*((?:;[^,]*)?)(?:,|$)`, 'i');
}
