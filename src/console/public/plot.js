// A live plot.
import UPlot from 'uplot';
import { html, useEffect, useRef } from './ui.js';

const HEIGHT = 180;
const SHORTEST_SECONDS = 60;
const CLOCK = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const COLOURS = ['--accent', '--amber'];

/** @param data the times in seconds, then a list for each name */
export function Plot({ title, names, data }) {
  const box = useRef(null);
  const plot = useRef(undefined);
  useEffect(() => {
    plot.current = new UPlot(optionsOf(names, box.current), data, box.current);
    const observer = new ResizeObserver(([{ contentRect }]) =>
      plot.current.setSize({ width: contentRect.width, height: HEIGHT }),
    );
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      plot.current.destroy();
    };
  }, []);
  useEffect(() => plot.current.setData(data), [data]);
  const last = names.map((name, i) => `${name} ${data[i + 1].at(-1)?.toFixed(1) ?? '–'}`).join(', ');
  return html`<section class="plot">
    <h2>${title}</h2>
    <div ref=${box} role="img" aria-label=${`${title}: ${last}`}></div>
  </section>`;
}

/** @returns {UPlot.Options} */
function optionsOf(names, box) {
  const colour = (name) => {
    // Names of light-dark() are no colours to a canvas; the style of an element is.
    box.style.color = `var(${name})`;
    return getComputedStyle(box).color;
  };
  const axis = {
    stroke: colour('--quiet'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  };
  const series = names.map((label, i) => ({
    label,
    stroke: colour(COLOURS[i]),
    width: 1.5,
    points: { show: false },
  }));
  /** @type {UPlot.Scales} */
  const scales = {
    // From the beginning a minute is seen, so that the first points do not jump.
    x: { range: (_plot, low, high) => [Math.min(low, high - SHORTEST_SECONDS), high] },
    y: { range: (_plot, _low, high) => [0, Math.max(1, (high ?? 0) * 1.1)] },
  };
  const shown = {
    legend: { show: false },
    cursor: { show: false },
    scales,
    axes: [
      { ...axis, space: 90, values: (_plot, times) => times.map((time) => CLOCK.format(time * 1000)) },
      { ...axis, size: 52 },
    ],
  };
  return { width: Math.max(200, box.clientWidth), height: HEIGHT, series: [{}, ...series], ...shown };
}
