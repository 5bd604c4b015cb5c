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

/** What Node says of a file that the system refuses: `ENOENT: no such file or directory, open 'name'`. */
const SYSTEM_MESSAGE = /^E[A-Z]+: (.*), \w+(?: '(.*)')?$/;

/** What the system refuses, as a sentence. Without a name it is the output that cannot be written. */
export function systemSentence(message: string): string {
  return `${message.replace(SYSTEM_MESSAGE, (_all, why: string, file = 'The output') => `${file} cannot be used: ${why}`)}.`;
}

/** Ends a command with one line on stderr and an exit code. */
export class CommandError extends Error {
  constructor(
    message: string,
    readonly exitCode: number = EXIT.failed,
  ) {
    super(message);
  }
}
