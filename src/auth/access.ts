import { DatabaseError } from '../errors.js';
import type { StorageEngine } from '../storage/storage-engine.js';
import { oneOf } from '../http/request/parameters.js';
import { RIGHTS, type Right } from './rights.js';
import type { TokenRecord } from './token-record.js';

declare module 'node:http' {
  interface IncomingMessage {
    /** What the request may do; absent where no token is needed. */
    access?: Access;
    /** Whether it may not go on, because its token has ended. */
    isCut?: boolean;
    /** Of a long-poll: has it answered with that error now. */
    refuse?: ((error: DatabaseError) => void) | undefined;
  }
}

/** The id of ADMIN_TOKEN, which is no stored token. */
export const ADMIN_ID = 'admin';

/** What the holder of a token may do, and the database that the token shows. */
export class Access {
  /** Whether a request has come with it. */
  isUsed = false;

  constructor(
    /** The public id of the token. */
    readonly id: string,
    readonly record: Omit<TokenRecord, 'id' | 'digest'>,
    /** The tokens whose limits count: its own, and those that it was made with. */
    readonly limited: readonly TokenRecord[],
    /** The namespace as a database of its own. */
    readonly engine: StorageEngine,
    /** From when on the text that was presented is no token any more, milliseconds since 1970; 0 for never. */
    readonly expires: number,
    /** Which state of all tokens it was found in. */
    readonly generation: number,
  ) {}

  /** Whether it may do everything with the whole database for ever. */
  get isUnlimited(): boolean {
    return this.limited.length === 0 && mayEverything(this.record);
  }

  may(right: Right): boolean {
    return this.record.can.includes(right);
  }
}

/** Whether a token may do everything with the whole database for ever, if those may that it was made with. */
export function mayEverything(record: Omit<TokenRecord, 'id' | 'digest'>): boolean {
  const { namespace, can, expires, requireConditions } = record;
  const isNarrowed = namespace !== '' || expires !== 0 || requireConditions || hasLimits(record);
  return !isNarrowed && RIGHTS.every((right) => can.includes(right));
}

export function hasLimits({ limits }: Pick<TokenRecord, 'limits'>): boolean {
  return Object.keys(limits).length > 0;
}

/** Checks a right that only the body of a request shows it to need. @throws DatabaseError `forbidden` */
export function requireRight(access: Access | undefined, right: Right): void {
  if (access && !access.may(right)) throw forbidden(access, right);
}

export function forbidden({ record }: Access, right: Right): DatabaseError {
  const detail = `The token has not the right ${oneOf([right], 'and')}, only ${oneOf(record.can, 'and')}.`;
  return new DatabaseError('forbidden', detail, { right });
}

/** What everybody may where no token is needed. */
export const OPEN: Omit<TokenRecord, 'id' | 'digest'> = {
  namespace: '',
  can: RIGHTS,
  created: 0,
  expires: 0,
  parents: [],
  note: '',
  requireConditions: false,
  limits: {},
};
