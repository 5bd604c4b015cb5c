const MOST_CHARACTERS = 128;

/** Returns what a client sent as part of a sentence or a line of the log: in quotes, of one line, and not too long. */
export function printable(text: string, most = MOST_CHARACTERS): string {
  return JSON.stringify(text.length > most ? `${text.slice(0, most)}…` : text);
}
