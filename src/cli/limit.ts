import { CommandError, EXIT } from './exit.js';

/** Reads `--limit`: how many lines at most, or all. */
export function limitOf(text: string | undefined): number {
  if (text === undefined) return Infinity;
  if (!/^[1-9]\d{0,14}$/.test(text))
    throw new CommandError('--limit takes a whole number from 1 on.', EXIT.usage);
  return Number(text);
}
