import type { Right } from './rights.js';

/** How much a token may do at once; absent is no limit. */
export interface TokenLimits {
  /** Requests a minute. */
  readonly requests?: number;
  /** Requests that write, a minute. */
  readonly writes?: number;
  /** Watches at a time. */
  readonly watchers?: number;
}

/** A token as it is stored: everything but the token itself. */
export interface TokenRecord {
  readonly id: string;
  /** SHA-256 of the token's text, base64url. */
  readonly digest: string;
  /** The digest before the last rotation, and until when it counts, milliseconds since 1970. */
  readonly old?: { readonly digest: string; readonly until: number } | undefined;
  /** What its holder's keys begin with in the database; empty for all of it. */
  readonly namespace: string;
  readonly can: readonly Right[];
  /** Milliseconds since 1970. */
  readonly created: number;
  /** From when on it is no token any more, milliseconds since 1970; 0 for never. */
  readonly expires: number;
  /** The ids of the tokens it was made with: the one that made it last, before it the one that made that. */
  readonly parents: readonly string[];
  readonly note: string;
  /** Whether its writes need a condition. */
  readonly requireConditions: boolean;
  readonly limits: TokenLimits;
}
