import { DatabaseError } from '../../../errors.js';

const MAX_CALLS = 20_000;
const MAX_BYTES = 64 * 2 ** 20;

/** How much waits for one server: while it does not answer, that may not take all memory. */
export class Backlog {
  private calls = 0;
  private bytes = 0;

  /** Lets in a command that sends so many bytes of values; one alone always. @throws DatabaseError `busy` */
  enter(bytes: number): void {
    if (this.calls >= MAX_CALLS || (this.bytes > 0 && this.bytes + bytes > MAX_BYTES)) {
      throw new DatabaseError(
        'busy',
        'Too much waits for an answer of Redis. Nothing was applied; repeat the request.',
      );
    }
    this.calls++;
    this.bytes += bytes;
  }

  leave(bytes: number): void {
    this.calls--;
    this.bytes -= bytes;
  }
}
