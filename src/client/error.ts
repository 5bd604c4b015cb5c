/**
 * What went wrong. `code` is that of the server's problem (docs/errors.md), or one of the client's own:
 * `no-connection` (the server was not reached; nothing was applied), `outcome-unknown` (the answer was lost, or another
 * write came between: it may have been applied), `truncated` (an export broke off), `http-502` and the like (an answer that is
 * not Pigeonhole's).
 */
export class PigeonholeError extends Error {
  override readonly name = 'PigeonholeError';

  constructor(
    readonly code: string,
    /** HTTP status, 0 if there was no answer. */
    readonly status: number,
    /** One sentence for people. */
    readonly detail: string,
    /** The members of the server's problem document: `etag`, `limit`, `index` and others. */
    readonly problem: Readonly<Record<string, unknown>> = {},
    options?: { cause?: unknown },
  ) {
    super(detail, options);
  }
}

/** Makes the error of an answer that is not a success. */
export async function errorOf(response: Response): Promise<PigeonholeError> {
  const { status, statusText } = response;
  let problem: Record<string, unknown> = {};
  try {
    problem = Object(JSON.parse(await response.text()));
  } catch {
    // A proxy's page, or a body that broke off: the status says enough.
  }
  const { code = `http-${status}`, detail = `The server answered ${status} ${statusText}.` } = problem;
  return new PigeonholeError(String(code), status, String(detail), problem);
}
