import type { IncomingMessage } from 'node:http';
import { isSafe } from '../http/request/safe.js';

/** What a token may do. `monitor` is metrics and figures, `admin` tokens and backups. */
export const RIGHTS = ['read', 'write', 'monitor', 'admin'] as const;
export type Right = (typeof RIGHTS)[number];

/* Routes are found without what follows `?` or `#`, and so are their rights. */
const OF_TOKENS = /^\/tokens(?:[/?#]|$)/;
const OF_ITSELF = /^\/tokens\/self(?:[?#]|$)/;
const OF_BACKUPS = /^\/backup(?:[?#]|$)/;
const OF_FIGURES = /^\/(?:metrics|stats)(?:[?#]|$)/;
const OF_BATCHES = /^\/batch(?:[?#]|$)/;

/**
 * Returns the right that a request needs, by its method and its path in the one spelling of the gate; undefined if any token
 * will do, or if the operations of its body decide.
 */
export function rightFor(request: IncomingMessage): Right | undefined {
  const url = request.url!;
  if (OF_TOKENS.test(url)) return OF_ITSELF.test(url) ? undefined : 'admin';
  if (OF_BACKUPS.test(url)) return 'admin';
  if (OF_FIGURES.test(url)) return 'monitor';
  if (OF_BATCHES.test(url)) return undefined;
  return isSafe(request) ? 'read' : 'write';
}
