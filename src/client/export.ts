import { brokenOff } from './transport.js';
import type { ExportEnd } from './types.js';

const NEW_LINE = 10;

/**
 * Writes an export as it comes. The sink is closed only after the closing line, and aborted otherwise, so that no half
 * export looks whole.
 * @throws PigeonholeError `truncated`
 */
export async function writeExport(response: Response, sink: WritableStream<Uint8Array>): Promise<ExportEnd> {
  const reader = (response.body as ReadableStream<Uint8Array<ArrayBuffer>>).getReader();
  const writer = sink.getWriter();
  /** The pieces of the last line. */
  let line: Uint8Array<ArrayBuffer>[] = [];
  try {
    for (;;) {
      const { value, done } = await reader.read().catch(brokenOff);
      if (done) break;
      if (line.at(-1)?.at(-1) === NEW_LINE) line = [];
      const start = value.lastIndexOf(NEW_LINE, value.length - 2) + 1;
      if (start > 0) line = [];
      line.push(value.subarray(start));
      await writer.ready;
      await writer.write(value);
    }
    const end = closingLine(await new Blob(line).text());
    await writer.close();
    return end;
  } catch (error) {
    await Promise.allSettled([writer.abort(error), reader.cancel(error)]);
    throw error;
  }
}

function closingLine(line: string): ExportEnd {
  try {
    const end = JSON.parse(line) as ExportEnd & { end?: boolean };
    if (end.end === true) return end;
  } catch {
    // Not a whole line.
  }
  return brokenOff();
}
