import { applyDecorators } from '@nestjs/common';
import { ApiHeader, ApiQuery } from '@nestjs/swagger';

/* The parameters and answers of a watch, which every readable URL has. */

/** Request headers and parameter of a watch. */
export const WATCH = applyDecorators(
  ApiQuery({
    name: 'watch',
    required: false,
    description: 'Asks for events, whatever Accept says.',
    schema: { type: 'boolean' },
  }),
  ApiQuery({
    name: 'since',
    required: false,
    description: 'Of a watch: `now`, or the id or KV-Revision to go on after, instead of a snapshot.',
    schema: { type: 'string', minLength: 1 },
  }),
  ApiHeader({
    name: 'Last-Event-ID',
    required: false,
    description: 'The same, as browsers send it when they come again; it counts before `since`.',
    schema: { type: 'string' },
  }),
);

/** Request header of a long-poll. */
export const WAIT = ApiHeader({
  name: 'Prefer',
  required: false,
  description: '`wait=30`: holds the answer while the client knows it, seconds, 60 at most.',
  schema: { type: 'string' },
});

/** The answer as Server-Sent Events, which ends when the client or the server leaves. */
export const EVENTS = {
  'text/event-stream': {
    schema: { type: 'string' },
    example:
      'retry: 1000\n\nevent: put\ndata: {"key":"example/note","etag":"6b0362d6-0000000000001",' +
      '"type":"text/plain; charset=utf-8","value":"Any text"}\n\n',
  },
};
