import { DatabaseError } from '../../../errors.js';

const MAX_COMMANDS = 20_000;
const MAX_BYTES = 64 * 2 ** 20;

/** Bounds the memory of the commands that wait for one server, which may have stopped replying. */
export class Backlog {
  private commands = 0;
  private bytes = 0;

  /** Adds a command with `bytes` of values; a single one may be of any size. @throws DatabaseError `busy` */
  add(bytes: number): void {
    if (this.commands >= MAX_COMMANDS || (this.bytes > 0 && this.bytes + bytes > MAX_BYTES)) {
      throw new DatabaseError(
        'busy',
        'Too many requests are under way in Redis. Nothing was applied; repeat the request.',
      );
    }
    this.commands++;
    this.bytes += bytes;
  }

  remove(bytes: number): void {
    this.commands--;
    this.bytes -= bytes;
  }
}
