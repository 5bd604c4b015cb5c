import type { Command } from 'commander';
import { SETTINGS } from '../config/app-config.js';

/** `pigeonhole serve`, which `pigeonhole` alone means too: every setting is a flag of the same name. */
export function addServeCommand(program: Command): void {
  const command = program
    .command('serve', { isDefault: true })
    .description('Starts the server. A flag wins over the environment variable of the same name.')
    // A command that does not exist comes here, too.
    .allowExcessArguments();
  for (const { name, form } of SETTINGS) command.option(`${flagOf(name)} <value>`, form);
  command.action(async (flags: Record<string, string>) => {
    if (command.args.length > 0) command.error(`unknown command '${command.args[0]}'`);
    for (const { name } of SETTINGS) {
      const value = flags[camelCase(name)];
      if (value !== undefined) process.env[name] = value;
    }
    await import('../main.js');
  });
}

function flagOf(name: string): string {
  return `--${name.toLowerCase().replaceAll('_', '-')}`;
}

/** As the library names what a flag was given. */
function camelCase(name: string): string {
  return name.toLowerCase().replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
