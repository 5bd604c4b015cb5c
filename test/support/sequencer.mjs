import Sequencer from '@jest/test-sequencer';
import { everyday } from './thorough.mjs';

/** Folders whose tests mostly wait: for elections, for processes that start, for a browser. */
const WAITING = /\/test\/(crash|browser|e2e\/(migration|redis|workers|cli|config|proxies))\//;

/** Files that take long, however short they are. */
const LONG =
  /\/test\/(docs\/examples|contract\/(.*engine|mirror|lying-engines)|e2e\/kv\/fairness|crash\/lmdb\/damage)/;

/** Runs tests that wait beside tests that compute, and begins with the longest of each, so that no worker is left alone. */
export default class extends Sequencer {
  constructor(options) {
    super(options);
    const { testPathPatterns, findRelatedTests, onlyChanged } = options.globalConfig;
    this.namesFiles = testPathPatterns.isSet() || findRelatedTests || onlyChanged;
  }

  sort(tests) {
    const bySize = super.sort(this.namesFiles ? tests : everyday(tests));
    const sorted = [
      ...bySize.filter(({ path }) => LONG.test(path)),
      ...bySize.filter(({ path }) => !LONG.test(path)),
    ];
    const waiting = sorted.filter(({ path }) => WAITING.test(path));
    const computing = sorted.filter(({ path }) => !WAITING.test(path));
    return sorted.map(
      (_, i) => (i % 2 === 0 ? waiting.shift() : computing.shift()) ?? waiting.shift() ?? computing.shift(),
    );
  }
}
