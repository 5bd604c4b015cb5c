import type { Command } from 'commander';

export interface OnceFlag {
  readonly idempotencyKey?: string;
}

export interface ConditionFlags extends OnceFlag {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
}

/** Adds the conditions of a write. */
export function addConditions(command: Command): Command {
  return command
    .option('--if-match <tag>', 'only if the entry still has this tag; * for any')
    .option('--if-none-match <tag>', 'only if the entry has not this tag; * only if there is none')
    .option(...ONCE_OPTION);
}

export const ONCE_OPTION = [
  '--idempotency-key <key>',
  'has it done once, however often it is sent with this key (default: one for each run)',
] as const;

export const JSON_OPTION = [
  '--json',
  'JSON, one document a line (default: when the output is no terminal)',
] as const;
