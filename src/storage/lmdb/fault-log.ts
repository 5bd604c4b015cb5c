import { DatabaseError } from '../../errors.js';
import { corruptRecords } from '../storage-meters.js';

/** Faults that are reported; a disk that dies can have millions of them. */
const MAX_FAULTS = 1000;
const MAX_LENGTH = 2000;

/** Reports what is wrong with the store, each fault once. */
export class FaultLog {
  /** Receives one line, or the stack of a fault of the program. */
  report: (text: string) => void = () => undefined;
  private readonly known = new Set<string>();

  /** Reports `error` unless the same has been reported before. */
  note(error: unknown): void {
    const text = textOf(error);
    if (this.known.size === MAX_FAULTS || this.known.has(text)) return;
    this.known.add(text);
    if (error instanceof DatabaseError && error.code === 'corrupt') corruptRecords.value++;
    this.report(text);
    if (this.known.size === MAX_FAULTS) this.report('There are more faults than are reported here.');
  }

  /** Runs the work of a timer or a listener: an error is reported and ends nothing. */
  readonly guard = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      this.note(error);
    }
  };
}

function textOf(error: unknown): string {
  // Keys may hold line ends, which must not look like lines of the log.
  if (error instanceof DatabaseError) return error.detail.slice(0, MAX_LENGTH).replace(/\p{Cc}/gu, '\ufffd');
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
