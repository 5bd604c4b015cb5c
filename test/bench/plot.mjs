// Draws how costs grow: two panels of lines on logarithmic axes, as one SVG that is legible on light and on dark pages.
import { byName } from './rows.mjs';

const [WIDTH, HEIGHT] = [960, 440];
const [TOP, BOTTOM] = [54, 384];
const LABEL_HEIGHT = 15;
/** Legible on white and on black; the names stand at the lines, so that nobody has to tell them apart by colour. */
const COLOURS = ['#3b82c4', '#d1495b', '#2a9d6f', '#b8860b', '#8e6cc0', '#c2703d'];
const STYLE = `
text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f }
.title { font-size: 14px; font-weight: 600 }
.tick { fill: #57606a }
.grid { stroke: #d8dee4 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .tick { fill: #9198a1 }
  .grid { stroke: #3d444d }
}`;

/** Draws points `{ name, keys, cpu }` and `{ name, connections, cpu }`, `cpu` in µs. */
export function plot({ keys, connections }) {
  const colours = colouring([...keys, ...connections]);
  const panels = [
    panel({ left: 50, right: 400, title: 'by the number of keys', lines: linesOf(keys, 'keys'), colours }),
    panel({
      left: 620,
      right: 870,
      title: 'by the number of connections',
      lines: linesOf(connections, 'connections'),
      colours,
    }),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="How the CPU time of an operation grows">
<style>${STYLE}
</style>
<text class="title" x="12" y="20">CPU time of one operation, µs</text>
${panels.join('\n')}
</svg>
`;
}

function colouring(points) {
  const names = [...new Set(points.map(({ name }) => name))];
  return (name) => COLOURS[names.indexOf(name) % COLOURS.length];
}

function linesOf(points, by) {
  return [...byName(points)].map(([name, own]) => ({
    name,
    at: own.map((point) => [point[by], point.cpu]).toSorted(([a], [b]) => a - b),
  }));
}

function panel({ left, right, title, lines, colours }) {
  const all = lines.flatMap(({ at }) => at);
  const x = logarithmic(
    all.map(([value]) => value),
    left,
    right,
  );
  const y = logarithmic(around(all.map(([, value]) => value)), BOTTOM, TOP);
  const horizontal = y.ticks([1, 2, 5]).map((value) => {
    const at = y.place(value);
    return `<path class="grid" d="M${left} ${at}H${right}"/><text class="tick" x="${left - 6}" y="${at + 4}" text-anchor="end">${inWords(value)}</text>`;
  });
  const vertical = x.ticks([1]).map((value) => {
    const at = x.place(value);
    return `<path class="grid" d="M${at} ${TOP}V${BOTTOM}"/><text class="tick" x="${at}" y="${BOTTOM + 18}" text-anchor="middle">${inWords(value)}</text>`;
  });
  const drawn = lines.map(({ name, at }) => {
    const corners = at.map(([a, b]) => `${x.place(a)} ${y.place(b)}`);
    const dots = at.map(
      ([a, b]) => `<circle cx="${x.place(a)}" cy="${y.place(b)}" r="3" fill="${colours(name)}"/>`,
    );
    return `<path class="line" stroke="${colours(name)}" d="M${corners.join('L')}"/>${dots.join('')}`;
  });
  const ends = lines.map(({ name, at }) => ({ name, value: at.at(-1)[1], y: y.place(at.at(-1)[1]) }));
  const labels = apart(ends).map(
    ({ name, value, y: at }) =>
      `<text x="${right + 10}" y="${at + 4}" style="fill:${colours(name)}">${escaped(name)}, ${rounded(value)}</text>`,
  );
  const caption = `<text x="${(left + right) / 2}" y="${BOTTOM + 42}" text-anchor="middle">${title}</text>`;
  return ['<g>', ...horizontal, ...vertical, ...drawn, ...labels, caption, '</g>'].join('\n');
}

/** A logarithmic axis from the least to the greatest of `values`, drawn from `from` to `to`. */
function logarithmic(values, from, to) {
  const [least, greatest] = [Math.min(...values), Math.max(...values)].map(Math.log10);
  const place = (value) => {
    const share = (Math.log10(value) - least) / (greatest - least || 1);
    return Math.round((from + share * (to - from)) * 10) / 10;
  };
  const ticks = (steps) => {
    const decades = Array.from(
      { length: Math.ceil(greatest - least) + 2 },
      (_, i) => 10 ** (Math.floor(least) + i),
    );
    const inside = (value) => Math.log10(value) >= least - 1e-9 && Math.log10(value) <= greatest + 1e-9;
    return decades.flatMap((decade) => steps.map((step) => step * decade)).filter(inside);
  };
  return { place, ticks };
}

/** The values, and some room below and above them. */
function around(values) {
  return [Math.min(...values) / 1.2, Math.max(...values) * 1.2];
}

/** Moves labels that would lie on one another downwards. */
function apart(labels) {
  let next = -Infinity;
  return labels
    .toSorted((a, b) => a.y - b.y)
    .map((label) => {
      next = Math.max(label.y, next + LABEL_HEIGHT);
      return { ...label, y: next };
    });
}

function inWords(value) {
  if (value >= 1e6) return `${value / 1e6} M`;
  if (value >= 1e4) return `${value / 1e3} k`;
  return String(Number(value.toPrecision(1)));
}

const rounded = (value) => (value >= 10 ? Math.round(value) : value.toFixed(1));
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
