import { describe, expect, it } from '@jest/globals';
import { DatabaseError } from '../../src/errors.js';
import type { Clock } from '../../src/storage/clock.js';
import { MemoryEngine } from '../../src/storage/memory.engine.js';
import type { Operation } from '../../src/storage/operation.js';
import { memory } from './engines.js';
import { rulesFor } from './engine-contract.js';
import { engineLiars } from './liars/engines.js';
import { logLiars } from './liars/logs.js';
import { pageLiars } from './liars/pages.js';
import { pastLiars } from './liars/past.js';
import { writeLiars } from './liars/writes.js';
import { Fixture, type EngineFactory, type Rule } from './rule.js';

/*
 * A suite that never fails proves nothing. Each of these engines breaks one promise in one way, and the suite must catch
 * it by the rule that a reader would expect.
 */
const liars = [...writeLiars, ...pageLiars, ...engineLiars, ...logLiars, ...pastLiars];

async function isBroken(rule: Rule, factory: EngineFactory): Promise<boolean> {
  try {
    await Fixture.run(rule, factory);
    return false;
  } catch {
    return true;
  }
}

/** Much longer than the plain engine takes for anything: what has not come then never does. */
const LIAR_HANG_MS = 5_000;

function factoryOf(make: (clock: Clock) => MemoryEngine, hangMs?: number): EngineFactory {
  return { ...memory, make, hangMs };
}

describe('the contract suite catches an engine that', () => {
  for (const { lie, caughtBy, make } of liars) {
    it(lie, async () => {
      const factory = factoryOf(make, LIAR_HANG_MS);
      const rules = rulesFor(factory).filter(({ rule }) => rule.includes(caughtBy));
      expect(rules.length).toBeGreaterThan(0);
      const verdicts = await Promise.all(rules.map((rule) => isBroken(rule, factory)));
      expect(verdicts).toContain(true);
    });
  }
});

describe('the contract suite', () => {
  it('passes an honest subclass by every rule that catches a lie', async () => {
    class Honest extends MemoryEngine {
      override async write(operation: Operation) {
        return super.write(operation);
      }
    }
    const factory = factoryOf((clock) => new Honest(clock));
    const used = rulesFor(factory).filter(({ rule }) =>
      liars.some(({ caughtBy }) => rule.includes(caughtBy)),
    );
    for (const rule of used) await Fixture.run(rule, factory);
  });

  it('has no two rules of one name', () => {
    const names = rulesFor(factoryOf((clock) => new MemoryEngine(clock))).map(({ rule }) => rule);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  it('takes a DatabaseError as a refusal and any other error as a broken engine', async () => {
    const factory = factoryOf((clock) => {
      const engine = new MemoryEngine(clock);
      engine.write = () => Promise.reject(new TypeError('broken'));
      return engine;
    });
    const rule = rulesFor(factory).find((each) => each.rule.includes('touch of an absent key'))!;
    expect(await isBroken(rule, factory)).toBe(true);
    expect(new TypeError('broken')).not.toBeInstanceOf(DatabaseError);
  });
});
