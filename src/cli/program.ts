import 'reflect-metadata';
import { Command } from 'commander';
import { startFailure } from '../errors.js';
import { VERSION } from '../version.js';
import { addBackupCommand } from './backup.command.js';
import { addCheckCommand } from './check.command.js';
import { addCompactCommand } from './compact.command.js';
import { addMigrateCommand } from './migrate.command.js';
import { addSalvageCommand } from './salvage.command.js';
import { addServeCommand } from './serve.command.js';
import { addTokenCommand } from './token.command.js';
import { addSetClockCommand } from './set-clock.command.js';

/** Runs the command that the arguments of the process name. */
export async function runProgram(): Promise<void> {
  try {
    const program = new Command('pigeonhole')
      .description('A small, durable key-value database over plain HTTP.')
      .version(VERSION)
      .helpCommand(false)
      .configureOutput({ outputError: (text, write) => write(`pigeonhole: ${inOneLine(text)}\n`) })
      .addHelpText(
        'after',
        '\n`pigeonhole` alone starts the server; `pigeonhole serve --help` lists its flags.',
      );
    addServeCommand(program);
    addMigrateCommand(program);
    addCheckCommand(program);
    addSalvageCommand(program);
    addCompactCommand(program);
    addBackupCommand(program);
    addSetClockCommand(program);
    addTokenCommand(program);
    await program.parseAsync();
  } catch (error) {
    const line = startFailure(error);
    if (line === undefined) throw error;
    console.error(`pigeonhole: ${line}`);
    process.exit(1);
  }
}

/** The library's message on wrong arguments. */
function inOneLine(text: string): string {
  return text
    .replace(/^error: /, '')
    .trim()
    .replaceAll('\n', ' ');
}
