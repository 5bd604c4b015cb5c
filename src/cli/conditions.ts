import type { Command } from 'commander';

export interface ConditionFlags {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
}

/** Adds the conditions of a write. */
export function addConditions(command: Command): Command {
  return command
    .option('--if-match <tag>', 'only if the entry still has this tag; * for any')
    .option('--if-none-match <tag>', 'only if the entry has not this tag; * only if there is none');
}

export const JSON_OPTION = [
  '--json',
  'JSON, one document a line (default: when the output is no terminal)',
] as const;
