import { DatabaseError } from '../../errors.js';

/* What writes are told that were not committed, or perhaps not. */

export function internal(cause: Error): DatabaseError {
  const detail = 'The server failed. Nothing was applied; its log says how.';
  return new DatabaseError('internal', detail, {}, { cause });
}

export function corruptStore(cause: Error): DatabaseError {
  const detail = `A page of the data file is damaged (${cause.message}). Nothing was written. Restore a backup.`;
  return new DatabaseError('corrupt', detail, {}, { cause });
}

export function outcomeUnknown(cause?: Error): DatabaseError {
  return new DatabaseError(
    'outcome-unknown',
    'The disk did not confirm the write, which may or may not have been applied. Read the key before repeating it.',
    {},
    { cause },
  );
}

export function unavailable(cause?: Error): DatabaseError {
  return new DatabaseError(
    'unavailable',
    'The database does not take writes at present. Nothing was applied; try again.',
    {},
    { cause },
  );
}

export function queueFull(limit: number): DatabaseError {
  return new DatabaseError(
    'busy',
    `The writes that wait for the disk take ${limit} bytes, and no more may. Nothing was applied; try again.`,
    { limit },
  );
}

export function waitedTooLong(seconds: number): DatabaseError {
  return new DatabaseError(
    'busy',
    `The write has waited ${seconds} s for the writes before it. Nothing was applied; try again.`,
  );
}
