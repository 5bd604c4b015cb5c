#!/usr/bin/env node
import 'reflect-metadata';
import { Command } from 'commander';
import { StartError } from '../errors.js';
import { migrateCommand } from './migrate.command.js';
import { serveCommand } from './serve.command.js';

try {
  await new Command('pigeonhole')
    .description('A small, durable key-value database over plain HTTP.')
    .addCommand(serveCommand(), { isDefault: true })
    .addCommand(migrateCommand())
    .parseAsync();
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  console.error(`pigeonhole: ${error.message}`);
  process.exit(1);
}
