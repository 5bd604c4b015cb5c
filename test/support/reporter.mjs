import { writeSync } from 'node:fs';
import { leftOut } from './thorough.mjs';

/**
 * Says at the end of a run on which Redis or Valkey it was (redis.ts), how many tests passed, failed and were skipped, and on
 * the last lines why those were skipped, which their titles hold (requires.ts), and how many files were left out (thorough.mjs). A file
 * that could not be run counts as one failed test.
 */
export default class Reporter {
  onRunComplete(_contexts, { testResults, numPassedTests, numFailedTests, numRuntimeErrorTestSuites }) {
    const skipped = testResults
      .flatMap((file) => file.testResults)
      .filter(({ status }) => status !== 'passed' && status !== 'failed');
    const counts = new Map();
    for (const { fullName } of skipped) {
      const reason = /\(skipped: (.*?)\)/.exec(fullName)?.[1] ?? 'not asked for';
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
    }
    const reasons = [...counts].map(([reason, count]) => `${count} (${reason})`);
    const titles = testResults.flatMap((file) => file.testResults).map(({ fullName }) => fullName);
    const servers = new Set(
      titles.flatMap((title) => / on ((?:Redis|Valkey) [0-9.]+)/.exec(title)?.[1] ?? []),
    );
    const ranOn = servers.size > 0 ? `Redis suites ran on ${[...servers].join(', ')}.\n` : '';
    const failed = numFailedTests + numRuntimeErrorTestSuites;
    const summary = `${numPassedTests} passed, ${failed} failed, ${skipped.length} skipped`;
    const files = leftOut > 0 ? `Left out: ${leftOut} files (npm run test:thorough).\n` : '';
    // Jest's own summary comes after every reporter.
    process.once('exit', () =>
      writeSync(
        process.stdout.fd,
        `\n${ranOn}${summary}\nSkipped: ${reasons.join(', ') || 'nothing'}.\n${files}`,
      ),
    );
  }
}
