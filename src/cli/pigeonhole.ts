#!/usr/bin/env node
import { endOnSignals, ignoreOutputErrors } from '../process.js';

ignoreOutputErrors();
// Other commands are interrupted by signals, and end with another code than 0.
const [, , command = 'serve'] = process.argv;
if (command === 'serve' || command.startsWith('-')) endOnSignals();
// Imported only here, because everything that is imported above is loaded before signals are handled.
const { runProgram } = await import('./program.js');
await runProgram();
