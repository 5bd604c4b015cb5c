// npm run test:crash -- --rounds 100: jest accepts no foreign options, so the count is passed in the environment.
import { spawnSync } from 'node:child_process';

const [flag, rounds, ...paths] = process.argv.slice(2);
if (flag !== undefined && (flag !== '--rounds' || !/^[1-9][0-9]*$/.test(rounds ?? ''))) {
  console.error('Usage: npm run test:crash [-- --rounds <number> [file…]]');
  process.exit(2);
}
const { status } = spawnSync('npx', ['jest', ...(paths.length > 0 ? paths : ['test/crash'])], {
  stdio: 'inherit',
  env: { ...process.env, ...(rounds && { CRASH_ROUNDS: rounds }) },
});
process.exit(status ?? 1);
