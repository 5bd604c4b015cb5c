import { Clock } from '../../src/storage/clock.js';

/** A time that stands still until a test moves it, for engines that take a Clock. */
export class FakeTime {
  wall = Date.UTC(2030, 0, 1);
  private monotonic = 1000;

  clock(): Clock {
    return new Clock(
      () => this.wall,
      () => this.monotonic,
    );
  }

  advance(milliseconds: number): void {
    this.wall += milliseconds;
    this.monotonic += milliseconds;
  }

  /** Somebody sets the computer's clock; no time passes. */
  setWall(wall: number): void {
    this.wall = wall;
  }
}
