import { Command } from 'commander';
import { SETTINGS } from '../config/app-config.js';

/** `pigeonhole serve`, which `pigeonhole` alone means too: every setting is a flag of the same name. */
export function serveCommand(): Command {
  const command = new Command('serve').description('Starts the server.');
  for (const { name, form } of SETTINGS) command.option(`${flagOf(name)} <value>`, form);
  return command.action(async (flags: Record<string, string>) => {
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
