import { describe, it } from '@jest/globals';
import { FakeTime } from '../support/fake-time.js';
import { World, type EngineFactory, type Rule } from './rule.js';
import { batchRules } from './rules/batches.js';
import { changeLogRules } from './rules/change-log.js';
import { conditionRules } from './rules/conditions.js';
import { counterRules } from './rules/counters.js';
import { durabilityRules } from './rules/durability.js';
import { entryRules } from './rules/entries.js';
import { expiryRules } from './rules/expiry.js';
import { keyRules } from './rules/keys.js';
import { positionRules } from './rules/positions.js';
import { rangeRules } from './rules/ranges.js';
import { scanRules } from './rules/scans.js';
import { systemRules } from './rules/system.js';
import { tagRules } from './rules/tags.js';
import { valueRules } from './rules/values.js';

/** Everything that StorageEngine promises, as data: `it` runs the rules, and lying-engines.spec.ts tries them. */
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
  ...positionRules,
];

/** The rules that an engine is held to: those of a capability it does not declare are left out. */
export function rulesFor(factory: EngineFactory): Rule[] {
  const { capabilities } = factory.make(new FakeTime().clock(), '');
  return RULES.filter(({ needs }) => needs === undefined || capabilities[needs]);
}

/** An engine joins the suite with this one line. */
export function engineContract(name: string, factory: EngineFactory): void {
  describe(`${name}:`, () => {
    for (const rule of rulesFor(factory)) it(rule.rule, () => World.judge(rule, factory));
  });
}
