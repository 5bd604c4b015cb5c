/*
 * The files that `npm test` leaves out, so that it takes minutes: each starts many processes, needs other programs, or proves at
 * size what another file states. `npm run test:thorough` runs them, CI runs both, and a file that is named runs anyway.
 */
const THOROUGH = [
  /browser\/(client|explorer|remembered-password|watch|console\/(access|engines|history|hostile|many))/,
  /contract\/(jail\/jail\.engine|lying-engines|mirror|lmdb\/(salvage|scrub)|redis\/(cluster-engine|older-version|past|partition-count|partition-reads))/,
  /crash\/(lmdb\/slow-disk|lock|migrate|once|paused|watch-exec|workers|redis\/|linearizability\/(judge|redis))/,
  /docs\/(alerts|commands)/,
  /e2e\/(auth\/start|migration\/(fence|interrupted|migrate|refused)|packages\/|proxies\/|workers\/(start|stop|supervision|workers))/,
  /e2e\/(backup\/(restore|schedule)|cli\/(completion|damage)|client\/faults|lmdb\/(folder-owner|scrub)|metrics\/alerts)/,
  /e2e\/(http\/(body-memory|log|output|unsent-answers)|openapi\/clients|redis\/(acl-rules|clocks|dead-partition|large-values|preflight|watch-beside-load))/,
  /e2e\/kv\/(fairness|large-json|new-lines|watch\/(list-then-watch|watch-(addresses|limits|memory|seam)))/,
].map(({ source }) => new RegExp(`/test/(${source})`));

const isThorough = ({ path }) => THOROUGH.some((pattern) => pattern.test(path));

/** How many files this run leaves out. */
export let leftOut = 0;

/** The files of `tests` that a run takes that names none. */
export function everyday(tests) {
  const wanted = process.env.THOROUGH !== undefined;
  const taken = tests.filter((each) => isThorough(each) === wanted);
  leftOut = wanted ? 0 : tests.length - taken.length;
  return taken;
}
