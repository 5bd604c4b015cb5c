import type { Command } from 'commander';
import { SETTINGS, type Setting } from '../config/settings.js';

/** `pigeonhole serve`, which `pigeonhole` alone means too: every setting is a flag of the same name. */
export function addServeCommand(program: Command): void {
  const command = program
    .command('serve', { isDefault: true })
    .description(
      'Starts the server. Every flag is an environment variable, too: --log-level is LOG_LEVEL. ' +
        'The flag wins; an empty variable counts as not set.',
    )
    // A command that does not exist comes here, too.
    .allowExcessArguments();
  const settings: Setting[] = Object.values(SETTINGS);
  for (const setting of settings) command.option(`${flagOf(setting)} <value>`, helpOf(setting));
  command.action(async (flags: Record<string, string>) => {
    if (command.args.length > 0) command.error(`unknown command '${command.args[0]}'`);
    for (const [field, { name }] of Object.entries(SETTINGS)) {
      // The library names a flag's value as `SETTINGS` names the field: `--log-level` is `logLevel`.
      const value = flags[field];
      if (value !== undefined) process.env[name] = value;
    }
    await import('../main.js');
  });
}

function flagOf({ name }: Setting): string {
  return `--${name.toLowerCase().replaceAll('_', '-')}`;
}

function helpOf({ meaning, form, default: value }: Setting): string {
  return `${meaning}\nTakes ${form}${value && ` (default: ${value})`}.`;
}
