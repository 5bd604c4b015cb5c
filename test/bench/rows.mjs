// A row of the table, made of what the rounds have measured.

export const median = (numbers) => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};

function spreadOf(numbers) {
  return [Math.min(...numbers), Math.max(...numbers)];
}

/**
 * A row that compares two sides: `of` takes the figure from a run. `reach` and `then` are the targets of the ratio, ours
 * divided by theirs; with `atLeast` it should be above them. The ratio is that of the rounds, each with itself.
 */
export function paired({ ours, theirs, of, ...row }) {
  const ratios = ours.map((run, round) => of(run) / of(theirs[round]));
  const [our, their] = [ours, theirs].map((runs) => median(runs.map(of)));
  return {
    ...row,
    ours: our,
    theirs: their,
    ratio: median(ratios),
    spread: spreadOf(ratios),
    ...details(ours, theirs),
  };
}

/** A row about our side alone: `reach` and `then` are the targets of the figure itself. */
export function single({ ours, of, ...row }) {
  const figures = ours.map(of);
  return { ...row, ours: median(figures), spread: spreadOf(figures) };
}

/** Requests a second, 99th percentiles, system time and bytes written, where they were measured; they belong to a figure of CPU, but are not compared. */
function details(ours, theirs) {
  if (ours[0].p99 === undefined) return {};
  const of = (runs, what) => median(runs.map((run) => run[what]));
  return {
    rates: [of(ours, 'rate'), of(theirs, 'rate')],
    p99: [of(ours, 'p99'), of(theirs, 'p99')],
    system: [of(ours, 'system'), of(theirs, 'system')],
    written: [of(ours, 'written'), of(theirs, 'written')],
  };
}

/** How a row stands to its targets: 2 the second, 1 the first, 0 none, undefined without any. */
export function reached({ ratio, ours, reach, aim, atLeast = false }) {
  if (reach === undefined) return undefined;
  const figure = ratio ?? ours;
  const meets = (target) => (atLeast ? figure >= target : figure <= target);
  return meets(aim) ? 2 : meets(reach) ? 1 : 0;
}

/** Points of growth by what was done: name → points, in their order. */
export function byName(points) {
  const named = new Map();
  for (const point of points) named.set(point.name, [...(named.get(point.name) ?? []), point]);
  return named;
}
