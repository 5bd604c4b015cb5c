import { DatabaseError } from '../../errors.js';
import type { Steps } from '../steps.js';
import type { LargeRecord } from './large-record.js';
import { DamagedPageError } from './tree.js';

/** A caller's part of a transaction. */
export interface Unit {
  readonly run: () => unknown;
  /** The steps of its work, which are done instead of `run`, if it is so long that the transaction should pause. */
  readonly steps: (() => Steps<unknown>) | undefined;
  /** Whether it runs in a database that has moved, too. */
  readonly passesFence: boolean;
  /** The size of its values, bytes. */
  readonly bytes: number;
  /** The records of its large values. */
  readonly large: readonly LargeRecord[];
  /** When it began to wait, in seconds of the commits (group-commit.ts). */
  readonly since: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  value: unknown;
  error: Error | undefined;
}

/** Runs a unit, which the error of a refusal concerns alone. @throws what spoils the transaction */
export function* runUnit(unit: Unit, refusal: DatabaseError | undefined): Steps<void> {
  unit.error = unit.passesFence ? undefined : refusal;
  if (unit.error) return;
  try {
    unit.value = unit.steps ? yield* unit.steps() : unit.run();
  } catch (error) {
    if (!(error instanceof DatabaseError) || error instanceof DamagedPageError) throw error;
    unit.error = error;
  }
}

export function settleUnit({ error, value, resolve, reject }: Unit): void {
  if (error) reject(error);
  else resolve(value);
}

export function rejectAll(units: readonly Unit[], error: DatabaseError): void {
  for (const unit of units) unit.reject(error);
}
