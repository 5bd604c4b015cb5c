// Loaded into a server: measures the longest turn of its event loop, ms, and writes it to TURNS_FILE on SIGUSR2.
import { renameSync, writeFileSync } from 'node:fs';

const EVERY_MS = 1;
const file = process.env.TURNS_FILE;
let last = performance.now();
let longest = 0;

setInterval(() => {
  const now = performance.now();
  longest = Math.max(longest, now - last - EVERY_MS);
  last = now;
}, EVERY_MS).unref();

process.on('SIGUSR2', () => {
  writeFileSync(`${file}.new`, String(longest));
  renameSync(`${file}.new`, file);
  longest = 0;
});
