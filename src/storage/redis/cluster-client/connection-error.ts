import { ClientClosedError, ClientOfflineError } from '@redis/client';

/** A command got no reply because of the connection. */
export class ConnectionError extends Error {
  constructor(
    /** Whether the server may have received the command. */
    readonly wasSent: boolean,
    cause: unknown,
  ) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** Whether the server may have received a command that the library failed. */
export function wasSent(error: unknown): boolean {
  return !(error instanceof ClientOfflineError || error instanceof ClientClosedError);
}
