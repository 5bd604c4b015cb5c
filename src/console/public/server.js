// How the server is doing, from what it tells every two seconds.
import { askJson } from './api.js';
import { counted, formatAgo, formatBytes, formatCount, formatSpan, formatTime } from './format.js';
import { Failure, Spinner } from './parts.js';
import { Plot } from './plot.js';
import { html, useEffect, useState } from './ui.js';

const EVERY_MS = 2000;
/** Ten minutes. */
const MOST_POINTS = 300;

export function Server() {
  const { stats, points, error } = useStats();
  return html`<section class="page" tabindex="0" aria-label="Server">
    <div class="bar"><h1>Server</h1></div>
    ${error && html`<${Failure} error=${error} />`}
    ${stats ? html`<${Figures} stats=${stats} points=${points} isNow=${!error} />` : !error && html`<${Spinner} />`}
  </section>`;
}

function Figures({ stats, points, isNow }) {
  return html`${isNow && html`<${Health} health=${stats.health} />`}
    <dl class="figures">
      ${figuresOf(stats).map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
    </dl>
    ${stats.requests && html`<${Plots} points=${points} />`}`;
}

/** Asks again and again. Points are `[seconds since 1970, requests a second, p50, p99]`, in milliseconds. */
function useStats() {
  const [seen, setSeen] = useState({ points: [], stats: undefined, error: undefined });
  useEffect(() => {
    const end = new AbortController();
    const look = async () => {
      try {
        const stats = await askJson('stats', { signal: end.signal });
        setSeen((before) => ({ stats, points: withPoint(before, stats), error: undefined }));
      } catch (error) {
        if (!end.signal.aborted) setSeen((before) => ({ ...before, error }));
      }
    };
    void look();
    const timer = setInterval(look, EVERY_MS);
    return () => {
      clearInterval(timer);
      end.abort();
    };
  }, []);
  return seen;
}

function withPoint({ stats: before, points }, stats) {
  if (!stats.requests || !before?.requests) return points;
  const seconds = (Date.parse(stats.now) - Date.parse(before.now)) / 1000;
  if (seconds <= 0) return points;
  const { p50, p99 } = stats.requests;
  const rate = Math.max(0, stats.requests.total - before.requests.total) / seconds;
  return [...points, [Date.parse(stats.now) / 1000, rate, inMilliseconds(p50), inMilliseconds(p99)]].slice(
    -MOST_POINTS,
  );
}

function inMilliseconds(seconds) {
  return seconds === null ? null : seconds * 1000;
}

function Health({ health: { status, details } }) {
  const notes = Object.entries(details).flatMap(([part, { notes = [], status: state }]) =>
    notes.length > 0 || state === 'up' ? notes : [`The ${part} is down.`],
  );
  return html`<div class="health ${status}" role="status">
    <strong>${status === 'ok' ? 'Ready' : 'Not ready'}</strong> ${notes.map((note) => html`<p>${note}</p>`)}
  </div>`;
}

/** Returns `[name, value]` of what is known. */
function figuresOf({
  version,
  engine,
  started,
  now,
  store,
  log,
  writes,
  watch,
  access,
  workers,
  backup,
  tls,
}) {
  return [
    ['Version', version],
    ['Engine', engine],
    ['Up for', formatSpan(Date.parse(now) - Date.parse(started))],
    ['Entries', known(store?.entries, formatCount)],
    ['Stored', known(store?.bytes, formatBytes)],
    ['Room', known(store?.roomBytes, formatBytes)],
    ['Free in the file', known(store?.freeBytes, formatBytes)],
    ['Kept for long reads', known(store?.pinnedBytes, formatBytes)],
    ['Damaged records', known(store?.corruptRecords, formatCount)],
    ['Change log', known(log?.bytes, formatBytes)],
    ['Oldest change', known(log?.oldest, formatAgo)],
    ['Writes waiting', known(writes?.queuedBytes, formatBytes)],
    ['Watchers', known(watch?.watchers, formatCount)],
    ['Refused tokens', known(access?.failures, formatCount)],
    [
      'Processes',
      workers && `${workers.configured}${workers.silent > 0 ? `, ${workers.silent} silent` : ''}`,
    ],
    ['Last backup', backup && (backup.last ? formatAgo(backup.last) : 'none')],
    ['Failed backups', backup?.failures ? counted(backup.failures, 'backup') : null],
    ['Certificate ends', known(tls?.expires, formatTime)],
  ].filter(([, value]) => value !== undefined && value !== null);
}

function known(value, format) {
  return value === undefined || value === null ? undefined : format(value);
}

function Plots({ points }) {
  const column = (i) => points.map((point) => point[i]);
  return html`<div class="plots">
    <${Plot} title="Requests a second" names=${['requests']} data=${[column(0), column(1)]} />
    <${Plot}
      title="Latency of the last minute, ms: half, and 99 of 100"
      names=${['p50', 'p99']}
      data=${[column(0), column(2), column(3)]}
    />
  </div>`;
}
