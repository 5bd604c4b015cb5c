import { describe, it } from '@jest/globals';
import { FakeTime } from '../support/fake-time.js';
import { Fixture, type EngineFactory, type Rule } from './rule.js';
import { batchRules } from './rules/batches.js';
import { changeLogRules } from './rules/change-log.js';
import { conditionRules } from './rules/conditions.js';
import { counterRules } from './rules/counters.js';
import { durabilityRules } from './rules/durability.js';
import { entryRules } from './rules/entries.js';
import { expiryRules } from './rules/expiry.js';
import { fenceRules } from './rules/fence.js';
import { idempotencyRules } from './rules/idempotency.js';
import { keyRules } from './rules/keys.js';
import { pastRules } from './rules/past.js';
import { positionRules } from './rules/positions.js';
import { rangeRules } from './rules/ranges.js';
import { scanRules } from './rules/scans.js';
import { systemRules } from './rules/system.js';
import { tagRules } from './rules/tags.js';
import { valueRules } from './rules/values.js';
import { whoAndWhenRules } from './rules/who-and-when.js';

/** All promises of StorageEngine. Engines are tested against the rules, and lying engines test the rules. */
export const RULES: readonly Rule[] = [
  ...entryRules,
  ...valueRules,
  ...keyRules,
  ...conditionRules,
  ...counterRules,
  ...tagRules,
  ...expiryRules,
  ...rangeRules,
  ...scanRules,
  ...batchRules,
  ...systemRules,
  ...durabilityRules,
  ...changeLogRules,
  ...whoAndWhenRules,
  ...pastRules,
  ...positionRules,
  ...fenceRules,
  ...idempotencyRules,
];

/** Returns the rules for an engine: all but those of a capability that it does not have. */
export function rulesFor(factory: EngineFactory): Rule[] {
  const { capabilities } = factory.make(new FakeTime().clock(), '');
  return RULES.filter(({ needs }) => needs === undefined || capabilities[needs]);
}

/** Tests an engine against the contract. An engine joins the suite with one call. */
export function engineContract(name: string, factory: EngineFactory): void {
  describe(`${name}:`, () => {
    for (const rule of rulesFor(factory)) it(rule.rule, () => Fixture.run(rule, factory));
  });
}
