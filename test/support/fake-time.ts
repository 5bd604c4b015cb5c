import { Clock } from '../../src/storage/clock.js';

/** A time that stands still until a test moves it, for engines that take a Clock. */
export class FakeTime {
  /** Receives the wall clock's time whenever that has moved. */
  onMove: (wall: number) => void = () => undefined;
  wall = Date.UTC(2030, 0, 1);
  private monotonic = 1000;

  clock(): Clock {
    return new Clock(() => this.wall, this.elapsed);
  }

  /** The monotonic clock, milliseconds. */
  readonly elapsed = (): number => this.monotonic;

  advance(milliseconds: number): void {
    this.monotonic += milliseconds;
    this.setWall(this.wall + milliseconds);
  }

  /** Somebody sets the computer's clock; no time passes. */
  setWall(wall: number): void {
    this.wall = wall;
    this.onMove(wall);
  }
}
