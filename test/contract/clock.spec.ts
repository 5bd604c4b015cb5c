import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Clock } from '../../src/storage/clock.js';
import { FakeTime } from '../support/fake-time.js';

describe('clock:', () => {
  it('it follows the wall clock while that goes forward', () => {
    const time = new FakeTime();
    const clock = time.clock();
    expect(clock.now()).toBe(time.wall);
    time.advance(1500);
    expect(clock.now()).toBe(time.wall);
  });

  it('after the wall clock is set back it continues by the monotonic time', () => {
    const time = new FakeTime();
    const clock = time.clock();
    const start = clock.now();
    time.setWall(0);
    expect(clock.now()).toBe(start);
    time.advance(60_000);
    expect(clock.now()).toBe(start + 60_000);
  });

  it('it follows a jump forward, and keeps it when the clock is set back again', () => {
    const time = new FakeTime();
    const clock = time.clock();
    const jumped = time.wall + 1_000_000;
    time.setWall(jumped);
    expect(clock.now()).toBe(jumped);
    time.setWall(jumped - 500_000);
    time.advance(10);
    expect(clock.now()).toBe(jumped + 10);
  });

  it('it reports a jump of more than an hour, once, and no shorter one', () => {
    const time = new FakeTime();
    const clock = time.clock();
    const jumps: number[] = [];
    clock.onJump = (milliseconds) => jumps.push(milliseconds);
    time.advance(50 * 3_600_000);
    clock.now();
    time.setWall(time.wall + 3_600_000);
    clock.now();
    expect(jumps).toEqual([]);
    time.setWall(time.wall + 3_600_001);
    clock.now();
    clock.now();
    expect(jumps).toEqual([3_600_001]);
  });

  it('raise makes it at least the given time, and never lowers it', () => {
    const time = new FakeTime();
    const clock = time.clock();
    clock.raise(time.wall + 5000);
    expect(clock.now()).toBe(time.wall + 5000);
    clock.raise(0);
    time.advance(10);
    expect(clock.now()).toBe(time.wall + 4990 + 10);
  });

  it('fractions of a millisecond add up', () => {
    let monotonic = 0;
    const clock = new Clock(
      () => (monotonic === 0 ? 1000 : 0),
      () => monotonic,
    );
    for (let i = 0; i < 1000; i++) {
      monotonic += 0.25;
      clock.now();
    }
    expect(clock.now()).toBe(1250);
  });

  it('whatever happens to the wall clock, it never runs backwards and never slower than time passes', () => {
    const steps = fc.array(
      fc.record({ elapsed: fc.nat({ max: 100_000 }), set: fc.option(fc.nat({ max: 4e12 })) }),
    );
    fc.assert(
      fc.property(steps, (taken) => {
        const time = new FakeTime();
        const clock = time.clock();
        let last = clock.now();
        for (const { elapsed, set } of taken) {
          time.advance(elapsed);
          if (set !== null) time.setWall(set);
          const now = clock.now();
          expect(now).toBeGreaterThanOrEqual(last + elapsed);
          expect(now).toBeGreaterThanOrEqual(time.wall);
          expect(Number.isInteger(now)).toBe(true);
          last = now;
        }
      }),
    );
  });

  it('by default it is the time of this computer', () => {
    const before = Date.now();
    const now = new Clock().now();
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(Date.now() + 1);
  });
});
