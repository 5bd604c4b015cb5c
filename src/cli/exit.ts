/** Exit codes, which scripts rely on (docs/command-line.md). */
export const EXIT = {
  done: 0,
  failed: 1,
  noConnection: 2,
  notFound: 3,
  conditionFailed: 4,
  notAllowed: 5,
  unknown: 6,
  usage: 64,
  interrupted: 130,
} as const;

/** Ends a command with one line on stderr and an exit code. */
export class CommandError extends Error {
  constructor(
    message: string,
    readonly exitCode: number = EXIT.failed,
  ) {
    super(message);
  }
}
