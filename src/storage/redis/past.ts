import { DatabaseError } from '../../errors.js';
import type { Past } from '../past.js';

/** The past of a database in Redis, which is not read. */
export const REDIS_PAST: Past = {
  find: () => refuse(),
  history: async () => refuse(),
  version: async () => refuse(),
  // eslint-disable-next-line require-yield
  since: async function* () {
    refuse();
  },
};

function refuse(): never {
  throw new DatabaseError('not-supported', 'The past of a database in Redis cannot be read yet.');
}
