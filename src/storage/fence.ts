import { DatabaseError } from '../errors.js';

/** Returns the refusal of everything that a database does not do any more, because it has moved to `place`. */
export function moved(place: string): DatabaseError {
  return new DatabaseError(
    'moved',
    `The database has moved to ${place}. Nothing was applied; send the request to the server there.`,
  );
}
