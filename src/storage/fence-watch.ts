import { Injectable, Logger } from '@nestjs/common';
import { reportsForServer } from '../config/worker.js';
import type { DatabaseError } from '../errors.js';
import { moved } from './fence.js';
import { StorageEngine } from './storage-engine.js';

const LOOK_EVERY_MS = 500;

/**
 * Tells whether the database has moved, half a second later at most.
 *
 * Every write asks the store by itself. Reads do not, which would cost each of them another one: they are refused from when
 * this has found the fence. The timers of a process that was stopped come before its requests when it goes on.
 */
@Injectable()
export class FenceWatch {
  private readonly logger = new Logger('Storage');
  private readonly followers = new Set<(refusal: DatabaseError | undefined) => void>();
  private timer: NodeJS.Timeout | undefined;
  private place: string | undefined;
  private isLooking = false;

  constructor(private readonly engine: StorageEngine) {}

  start(): void {
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Calls `follower` with the refusal of all requests when the database has moved, and with undefined when it is back. */
  follow(follower: (refusal: DatabaseError | undefined) => void): void {
    this.followers.add(follower);
  }

  private look(): void {
    if (this.isLooking) return;
    try {
      const place = this.engine.fence();
      if (!(place instanceof Promise)) return this.tell(place);
      this.isLooking = true;
      const done = () => (this.isLooking = false);
      place.then((found) => this.tell(found)).then(done, done);
    } catch {
      // The requests meet the same error.
    }
  }

  private tell(place: string | undefined): void {
    if (place === this.place) return;
    this.place = place;
    const refusal = place === undefined ? undefined : moved(place);
    if (reportsForServer())
      this.logger.warn(
        refusal ? `The database has moved to ${place}: requests are refused` : 'The database is back',
      );
    for (const follower of this.followers) follower(refusal);
  }
}
