/**
 * What went wrong. `code` is that of the server's problem (docs/errors.md), or one of the client's own:
 * `no-connection` (the server was not reached; nothing was applied), `outcome-unknown` (the answer was lost, or another
 * write came between: it may have been applied), `truncated` (a value or an export broke off), `lock-lost`, `http-502` and
 * the like (an answer that is not Pigeonhole's).
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
export async function errorOf(answer: Response): Promise<PigeonholeError> {
  // A proxy's page, or a body that broke off: the status says enough.
  const problem = (await answer.json().then(Object, () => ({}))) as Record<string, string>;
  const { status, statusText } = answer;
  const { code = `http-${status}`, detail = `The server answered ${status} ${statusText}.` } = problem;
  return new PigeonholeError(code, status, detail, problem);
}
