import { ConnectionError } from './connection-error.js';

/** 4 MiB/s, so that a value of 16 MiB may keep a slow server from everything else for all of 3 s. */
const LARGE_BYTES_PER_CHECK = 2 ** 20;

/** A command that was sent and has no reply yet. */
export interface PendingCommand {
  /** On the clock of `performance`. */
  readonly deadline: number;
  /** The number of checks of its connection before it was sent. */
  readonly sentAt: number;
  /** Bytes of a large value that it carries or returns; else 0. */
  readonly largeBytes: number;
  readonly reject: (error: ConnectionError) => void;
}

/** The commands of one connection that have no reply yet, in the order in which they were sent. */
export class PendingCommands {
  private readonly commands = new Set<PendingCommand>();

  get oldest(): PendingCommand | undefined {
    const [oldest] = this.commands;
    return oldest;
  }

  /** The last deadline of all; -Infinity without commands. */
  get latestDeadline(): number {
    return Math.max(...[...this.commands].map(({ deadline }) => deadline));
  }

  /** For how many checks the server may do nothing but store or copy the largest value; 0 without one. */
  get excusedChecks(): number {
    const largest = Math.max(0, ...[...this.commands].map(({ largeBytes }) => largeBytes));
    return Math.ceil(largest / LARGE_BYTES_PER_CHECK);
  }

  add(command: PendingCommand): void {
    this.commands.add(command);
  }

  remove(command: PendingCommand): void {
    this.commands.delete(command);
  }

  /** Fails the commands whose deadline is not after `now`. They stay pending, for a reply would show that there is life. */
  giveUp(now: number): void {
    for (const { deadline, reject } of this.commands)
      if (deadline <= now) reject(new ConnectionError(true, 'no answer in time'));
  }
}
