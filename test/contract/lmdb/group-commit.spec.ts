import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { access } from 'node:fs/promises';
import { DatabaseError } from '../../../src/errors.js';
import { ForgottenCommitError } from '../../../src/storage/lmdb/commit-numbers.js';
import { GroupCommit, type CommitTarget } from '../../../src/storage/lmdb/group-commit.js';
import { DamagedPageError } from '../../../src/storage/lmdb/tree.js';
import { codeOf, refusalOf } from '../shorthand.js';

/** A store whose transactions the test ends. */
class ScriptedTarget implements CommitTarget {
  readonly commits: { settle: (error?: Error) => void; ran: boolean }[] = [];
  readonly failures: Error[] = [];
  readonly calls: string[] = [];
  full = false;
  /** Whether a transaction gets as far as running its work. */
  starts = true;

  transaction(work: () => void): Promise<unknown> {
    return new Promise<void>((resolve, reject) => {
      if (this.starts) work();
      const settle = (error?: Error) => (error ? reject(error) : resolve());
      this.commits.push({ settle, ran: this.starts });
    });
  }

  isFull(): boolean {
    return this.full;
  }

  begin(): undefined {
    this.calls.push('begin');
  }

  preparePauses(): void {}

  check(): void {}

  async remember(): Promise<void> {
    this.calls.push('remember');
  }

  end(): void {
    this.calls.push('end');
  }

  committed(): void {
    this.calls.push('committed');
  }

  fail(error: Error): void {
    this.failures.push(error);
  }
}

/** Runs the promises that are ready, without moving the time. */
async function turn(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

const MIB = 2 ** 20;
const ioError = () => new Error('Input/output error');

describe('group commit:', () => {
  let target: ScriptedTarget;
  let commits: GroupCommit;

  beforeEach(() => {
    jest.useFakeTimers();
    target = new ScriptedTarget();
    commits = new GroupCommit(target);
  });

  afterEach(() => {
    expect(jest.getTimerCount()).toBeLessThanOrEqual(2);
    jest.useRealTimers();
  });

  it('no write resolves before its transaction is durable', async () => {
    let isDone = false;
    const write = commits.submit(1, () => 'value').then((value) => ((isDone = true), value));
    await turn();
    expect([target.commits.length, isDone]).toEqual([1, false]);
    target.commits[0]!.settle();
    expect(await write).toBe('value');
  });

  it('writes that wait during a commit share the next one, in their order', async () => {
    const order: number[] = [];
    const writes = [0, 1, 2, 3, 4].map((i) => commits.submit(1, () => order.push(i)));
    await turn();
    target.commits[0]!.settle();
    await turn();
    expect(target.commits).toHaveLength(2);
    target.commits[1]!.settle();
    await Promise.all(writes);
    await commits.settle();
    expect(order).toEqual([0, 1, 2, 3, 4]);
    expect(target.commits).toHaveLength(2);
    expect(target.calls).toEqual(['begin', 'end', 'committed', 'begin', 'end', 'committed']);
  });

  it('a refused write fails alone and disturbs no other of its transaction', async () => {
    const refuse = () => {
      throw new DatabaseError('integer-overflow', 'No.');
    };
    const writes = [() => 'a', refuse, () => 'c', refuse].map((run) => commits.submit(1, run));
    const settled = Promise.allSettled(writes);
    await turn();
    target.commits[0]!.settle();
    await turn();
    target.commits[1]?.settle();
    const results = (await settled).map((each) =>
      each.status === 'fulfilled' ? each.value : (each.reason as DatabaseError).code,
    );
    expect(results).toEqual(['a', 'integer-overflow', 'c', 'integer-overflow']);
    expect(target.failures).toEqual([]);
  });

  it('a write that breaks the transaction fails alone, and the others run again in the next one', async () => {
    const ran: string[] = [];
    const work = (name: string) => () => {
      ran.push(name);
      return name;
    };
    const breaks = (error: Error) => () => {
      ran.push('broken');
      throw error;
    };
    const damage = new DamagedPageError('A page is damaged.');
    const runs = [work('a'), breaks(new TypeError('a bug')), work('c'), breaks(damage), work('e')];
    const settled = Promise.allSettled(runs.map((run) => commits.submit(1, run)));
    for (let i = 0; i < 9; i++) {
      await turn();
      target.commits[i]?.settle();
    }
    const results = (await settled).map((each) =>
      each.status === 'fulfilled' ? each.value : (each.reason as DatabaseError).code,
    );
    expect(results).toEqual(['a', 'internal', 'c', 'corrupt', 'e']);
    expect(ran).toEqual(['a', 'broken', 'broken', 'c', 'broken', 'c', 'e']);
    expect(target.failures).toEqual([]);
  });

  it('a commit that meets a damaged page is corrupt, and later writes go on', async () => {
    const write = codeOf(commits.submit(1, () => 'a'));
    await turn();
    target.commits[0]!.settle(Object.assign(new Error('MDB_CORRUPTED'), { code: -30796 }));
    expect(await write).toBe('corrupt');
    const later = commits.submit(1, () => 'b');
    await turn();
    target.commits[1]!.settle();
    expect(await later).toBe('b');
    expect(target.failures).toEqual([]);
  });

  it('one transaction takes a bounded number of writes and bytes, and at least one whatever its size', async () => {
    const sizes = [20 * 2 ** 20, 20 * 2 ** 20, ...Array.from({ length: 1500 }, () => 0)];
    const taken: number[] = [];
    const writes = sizes.map((bytes) => commits.submit(bytes, () => taken.push(target.commits.length)));
    for (let i = 0; i < 10; i++) {
      await turn();
      target.commits[i]?.settle();
    }
    await Promise.all(writes);
    const perCommit = [...new Set(taken)].map((commit) => taken.filter((each) => each === commit).length);
    expect(perCommit.slice(0, 2)).toEqual([1, 1]);
    expect(Math.max(...perCommit)).toBeLessThanOrEqual(1024);
    expect(taken).toHaveLength(1502);
  });

  it('one transaction takes work of some milliseconds, and at least one write however long that takes', async () => {
    const taken: number[] = [];
    const work = (milliseconds: number) => () => {
      jest.advanceTimersByTime(milliseconds);
      taken.push(target.commits.length);
    };
    const writes = [50, 50, ...Array.from({ length: 8 }, () => 3)].map((ms) => commits.submit(1, work(ms)));
    for (let i = 0; i < 10; i++) {
      await turn();
      target.commits[i]?.settle();
    }
    await Promise.all(writes);
    expect(taken).toEqual([0, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
  });

  it('on a full disk the writes of the commit fail as disk-full, and later ones go on', async () => {
    target.full = true;
    const write = commits.submit(1, () => 'a');
    const waiting = commits.submit(1, () => 'b');
    const code = codeOf(write);
    await turn();
    target.commits[0]!.settle(ioError());
    expect(await code).toBe('disk-full');
    target.full = false;
    await turn();
    target.commits[1]!.settle();
    expect(await waiting).toBe('b');
    expect(target.failures).toEqual([]);
  });

  it('a full disk that lets no transaction begin fails the writes, without endless tries', async () => {
    target.full = true;
    target.starts = false;
    const codes = [0, 1, 2].map(() => codeOf(commits.submit(1, () => 'never')));
    for (let i = 0; i < 10; i++) {
      await turn();
      target.commits[i]?.settle(ioError());
    }
    expect(await Promise.all(codes)).toEqual(['disk-full', 'disk-full', 'disk-full']);
    expect(target.commits.length).toBeLessThanOrEqual(3);
  });

  it('after any other failure the commit is outcome-unknown, later writes are unavailable, and the store fails', async () => {
    const inside = codeOf(commits.submit(1, () => 'a'));
    const waiting = codeOf(commits.submit(1, () => 'b'));
    await turn();
    target.commits[0]!.settle(ioError());
    expect(await inside).toBe('outcome-unknown');
    expect(await waiting).toBe('unavailable');
    expect(target.failures.map(({ message }) => message)).toEqual(['Input/output error']);
    expect(await codeOf(commits.submit(1, () => 'c'))).toBe('unavailable');
    expect(target.commits).toHaveLength(1);
  });

  it('the reported cause is the one in the commitError of the library', async () => {
    const commitError = Promise.reject(new Error('the real cause'));
    const inside = codeOf(commits.submit(1, () => 'a'));
    await turn();
    target.commits[0]!.settle(Object.assign(new Error('Commit failed (see commitError)'), { commitError }));
    expect(await inside).toBe('outcome-unknown');
    expect(target.failures.map(({ message }) => message)).toEqual(['the real cause']);
  });

  it('when the disk is silent for 5 s, the commit is outcome-unknown, waiting and new writes are unavailable', async () => {
    const inside = codeOf(commits.submit(1, () => 'a'));
    await turn();
    const waiting = codeOf(commits.submit(1, () => 'b'));
    await jest.advanceTimersByTimeAsync(4999);
    let isDone = false;
    void inside.then(() => (isDone = true));
    await turn();
    expect(isDone).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    expect([await inside, await waiting]).toEqual(['outcome-unknown', 'unavailable']);
    expect(await codeOf(commits.submit(1, () => 'c'))).toBe('unavailable');
    expect(target.failures).toEqual([]);
  });

  it('writes go on when the disk answers again after a silence', async () => {
    const inside = codeOf(commits.submit(1, () => 'a'));
    await jest.advanceTimersByTimeAsync(6000);
    expect(await inside).toBe('outcome-unknown');
    target.commits[0]!.settle();
    await turn();
    const next = commits.submit(1, () => 'b');
    await turn();
    target.commits[1]!.settle();
    expect(await next).toBe('b');
    await jest.advanceTimersByTimeAsync(60_000);
    expect(target.failures).toEqual([]);
  });

  it('a transaction that begins after its deadline runs none of the rejected writes', async () => {
    target.starts = false;
    const ran: string[] = [];
    const write = codeOf(commits.submit(1, () => ran.push('a')));
    await jest.advanceTimersByTimeAsync(5000);
    expect(await write).toBe('unavailable');
    target.starts = true;
    target.commits[0]!.settle();
    await turn();
    expect(ran).toEqual([]);
  });

  it('when the disk is silent for 30 s, the store fails, once', async () => {
    const inside = codeOf(commits.submit(1, () => 'a'));
    await jest.advanceTimersByTimeAsync(29_999);
    expect(target.failures).toEqual([]);
    await jest.advanceTimersByTimeAsync(1);
    expect(target.failures).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(120_000);
    target.commits[0]!.settle(ioError());
    await turn();
    expect(target.failures).toHaveLength(1);
    expect(await inside).toBe('outcome-unknown');
    expect(await codeOf(commits.submit(1, () => 'b'))).toBe('unavailable');
  });

  it('at most 64 MiB of writes wait: what is more is busy, is never run, and fits again later', async () => {
    const inside = commits.submit(1, () => 'inside');
    await turn();
    const waiting = [0, 1, 2].map((i) => commits.submit(20 * MIB, () => i));
    const ran: string[] = [];
    expect(await refusalOf(commits.submit(4 * MIB, () => ran.push('large')))).toEqual({
      code: 'busy',
      limit: 64 * MIB,
    });
    const small = commits.submit(1, () => 'small');
    target.commits[0]!.settle();
    await turn();
    const later = commits.submit(4 * MIB, () => 'later');
    for (let i = 1; i < 6; i++) {
      target.commits[i]?.settle();
      await turn();
    }
    const done = await Promise.all([inside, ...waiting, small, later]);
    expect(done).toEqual(['inside', 0, 1, 2, 'small', 'later']);
    expect(ran).toEqual([]);
  });

  it('writes without values do not wait in any number', async () => {
    const writes = Array.from({ length: 100_000 }, () => codeOf(commits.submit(0, () => undefined)));
    const last = await writes.at(-1);
    expect(last).toBe('busy');
    for (let i = 0; i < 100; i++) {
      await turn();
      target.commits[i]?.settle();
    }
    const codes = await Promise.all(writes);
    expect(codes.filter((code) => code === 'busy').length).toBeLessThan(60_000);
  });

  it('a write that is larger than all that may wait is done when no other waits', async () => {
    const inside = commits.submit(1, () => 'inside');
    await turn();
    const large = commits.submit(200 * MIB, () => 'large');
    expect(await codeOf(commits.submit(1, () => 'small'))).toBe('busy');
    target.commits[0]!.settle();
    await turn();
    target.commits[1]!.settle();
    expect(await Promise.all([inside, large])).toEqual(['inside', 'large']);
  });

  it('a write that waits longer than 5 s for those before it is busy, and the others go on', async () => {
    const ran: number[] = [];
    const writes = [0, 1, 2, 3].map((i) => codeOf(commits.submit(16 * MIB, () => ran.push(i))));
    for (let second = 1; second <= 20; second++) {
      await jest.advanceTimersByTimeAsync(1000);
      if (second % 4 === 0) target.commits[second / 4 - 1]?.settle();
    }
    expect(await Promise.all(writes)).toEqual(['not refused', 'not refused', 'busy', 'busy']);
    expect(ran).toEqual([0, 1]);
    const next = commits.submit(1, () => 'next');
    await turn();
    target.commits.at(-1)!.settle();
    expect(await next).toBe('next');
    expect(target.failures).toEqual([]);
  });

  it('writes nothing before all commits are known again, and gives up where they stay forgotten', async () => {
    target.transaction = () => Promise.reject(new ForgottenCommitError('forgotten'));
    const code = codeOf(commits.submit(1, () => 1));
    await turn();
    expect(target.calls.length).toBeGreaterThan(1);
    expect(new Set(target.calls)).toEqual(new Set(['remember']));
    expect(await code).toBe('unavailable');
    expect(target.failures).toHaveLength(1);
  });

  it('settle waits for all writes submitted before', async () => {
    const writes = [1, 2, 3].map((i) => commits.submit(1, () => i));
    let settled = false;
    const settling = commits.settle().then(() => (settled = true));
    await turn();
    target.commits[0]!.settle();
    await turn();
    expect(settled).toBe(target.commits.length === 1);
    target.commits[1]?.settle();
    await settling;
    expect(await Promise.all(writes)).toEqual([1, 2, 3]);
  });
});

describe('group commit, while the event loop is held:', () => {
  it('a disk that has answered meanwhile is not taken for a silent one', async () => {
    const target = new ScriptedTarget();
    // A thread answers, as LMDB's does, and the loop hears of it only after its timers.
    target.transaction = async (work) => {
      work();
      await access('.');
    };
    const write = new GroupCommit(target).submit(1, () => 'value');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5_200);
    expect(await write).toBe('value');
    expect(target.failures).toEqual([]);
  });
});
