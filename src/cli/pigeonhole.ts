#!/usr/bin/env node
import 'reflect-metadata';
import { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { StartError } from '../errors.js';
import { addMigrateCommand } from './migrate.command.js';
import { addServeCommand } from './serve.command.js';
import { addSetClockCommand } from './set-clock.command.js';

try {
  const program = new Command('pigeonhole')
    .description('A small, durable key-value database over plain HTTP.')
    .version(version())
    .helpCommand(false)
    .configureOutput({ outputError: (text, write) => write(`pigeonhole: ${inOneLine(text)}\n`) })
    .addHelpText(
      'after',
      '\n`pigeonhole` alone starts the server; `pigeonhole serve --help` lists its flags.',
    );
  addServeCommand(program);
  addMigrateCommand(program);
  addSetClockCommand(program);
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  console.error(`pigeonhole: ${error.message}`);
  process.exit(1);
}

/** The library's message on wrong arguments. */
function inOneLine(text: string): string {
  return text
    .replace(/^error: /, '')
    .trim()
    .replaceAll('\n', ' ');
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
