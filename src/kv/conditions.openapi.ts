import { applyDecorators } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';

/* The conditional headers of requests. */

const CONDITIONS: Record<string, string> = {
  'If-Match': 'Only if the entry has one of these tags, `"…"`; `*`: only if it exists.',
  'If-None-Match': 'Only if the entry has none of these tags, `"…"`; `*`: only if it does not exist.',
  'If-Unmodified-Since': 'Only if the entry was not written since. Ignored beside If-Match.',
  'If-Modified-Since': 'Only if the entry was written since. Ignored beside If-None-Match.',
  'If-Range':
    'The tag, `"…"`, for which the range is meant; for another, or for a date, the whole value is answered.',
  Range: 'The bytes to give out, one range like `bytes=0-99`.',
};

function requestHeaders(...names: string[]): MethodDecorator {
  return applyDecorators(
    ...names.map((name) =>
      ApiHeader({ name, description: CONDITIONS[name], required: false, schema: { type: 'string' } }),
    ),
  );
}

export const WRITE_CONDITIONS = requestHeaders('If-Match', 'If-None-Match', 'If-Unmodified-Since');
export const READ_CONDITIONS = applyDecorators(WRITE_CONDITIONS, requestHeaders('If-Modified-Since'));
export const RANGE = requestHeaders('Range', 'If-Range');
