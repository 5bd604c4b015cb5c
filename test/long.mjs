// npm run test:long [-- --rounds <number> [file…]]: jest takes no options of ours, so the number travels in the environment.
import { spawnSync } from 'node:child_process';

const args = process.argv.slice(2);
const rounds = args[0] === '--rounds' ? (args.splice(0, 2)[1] ?? '') : '10';
if (!/^[1-9][0-9]*$/.test(rounds)) {
  console.error('Usage: npm run test:long [-- --rounds <number> [file…]]');
  process.exit(2);
}
// Every test file that has a long form imports this one.
const files = args.length > 0 ? args : ['--findRelatedTests', 'test/support/long-run.ts'];
const { status } = spawnSync('npx', ['jest', ...files], {
  stdio: 'inherit',
  env: { ...process.env, LONG_ROUNDS: rounds, EVERY_ENGINE: '1' },
});
process.exit(status ?? 1);
