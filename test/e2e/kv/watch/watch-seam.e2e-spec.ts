import { expect, test } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { ask, eachAtOnce } from '../../../support/http.js';
import { batch, pathOf, stored, type Page } from '../../../support/kv.js';
import { shortOrLong } from '../../../support/long-run.js';
import { CLUSTERS, describeOn, TARGETS } from '../../../support/ways.js';
import { disorderOf, EventStream, stateAfter, toldOf, type SentEvent } from '../../../support/events.js';
import { Random } from '../../../support/random.js';

const WATCHERS = shortOrLong(10, 50);
const WRITERS = 4;
/** Of each writer, also where the watchers are soon there. */
const FEWEST = 20;
const WATCHED = ['/kv?prefix=k/', '/kv?prefix=k/1', '/', '/kv/k%2F7', '/kv?key=k%2F12'];

/** What the store holds below `prefix`: key → etag. */
async function stateOf(port: number, prefix: string): Promise<Map<string, string>> {
  const state = new Map<string, string>();
  let after = '';
  do {
    const query = `prefix=${encodeURIComponent(prefix)}&limit=1000${after && `&after=${encodeURIComponent(after)}`}`;
    const page = JSON.parse((await ask(port, `/kv?${query}`)).text) as Page;
    for (const { key, etag } of page.items) state.set(key, etag);
    after = page.next ?? '';
  } while (after !== '');
  return state;
}

/** Writes at random until it is told to stop: puts, deletes, batches, counters; `brief` gets the keys that expire. */
async function write(
  port: number,
  seed: number,
  keys: number,
  atomic: boolean,
  goOn: () => boolean,
  brief: Set<string>,
): Promise<void> {
  const random = new Random(seed);
  for (let writes = 0; writes < FEWEST || (goOn() && writes < 20_000); writes++) {
    const key = `k/${random.below(keys)}`;
    const kind = random.below(10);
    if (kind < 6) await stored(port, key, `${seed}-${writes}`);
    else if (kind < 8) await ask(port, pathOf(key), { method: 'DELETE' });
    else if (kind < 9) {
      const short = `k/${random.below(keys)}`;
      brief.add(short);
      await batch(
        port,
        [
          { op: 'put', key, value: 'b' },
          { op: 'put', key: short, value: 'b', ttl: '1s' },
          { op: 'delete', key: `k/${random.below(keys)}` },
        ],
        atomic,
      );
    } else await ask(port, `${pathOf(`k/n${random.below(20)}`)}?incr=1`, { method: 'PATCH' });
  }
}

/** What the log says of `path`, from `id` on, told to somebody who comes once everything is over. */
async function logOf(port: number, path: string, id: string): Promise<SentEvent[]> {
  const stream = await EventStream.live(port, path, { 'Last-Event-ID': id });
  stream.close();
  expect(stream.names).not.toContain('reset');
  return stream.events.filter(({ event }) => event !== 'ready');
}

/** What was told of each key, in order: key → event and tag. */
function byKey(events: readonly SentEvent[]): Map<string, string[]> {
  const told = new Map<string, string[]>();
  for (const event of events) {
    const { key, etag } = toldOf(event);
    told.set(key, [...(told.get(key) ?? []), `${event.event} ${etag}`]);
  }
  return told;
}

describeOn([...TARGETS, ...shortOrLong([], CLUSTERS)])('while others write, $name', ({ start, lacks }) => {
  const acrossKeys = !lacks.includes('atomicAcrossKeys');
  const isOrdered = !lacks.includes('totalOrder');
  test.each([
    ['a small database', 60],
    ['a snapshot of several pages', 3000],
  ])('whoever connects misses nothing and hears nothing twice: %s', async (_name, keys) => {
    const target = await start();
    const { port } = target;
    const random = new Random(keys);
    for (let first = 0; first < keys; first += 500) {
      const count = Math.min(500, keys - first);
      await batch(
        port,
        Array.from({ length: count }, (_, i) => ({
          op: 'put',
          key: `k/${first + i}`,
          value: 'x'.repeat(200),
        })),
        false,
      );
    }
    let busy = true;
    const brief = new Set<string>();
    const writers = Array.from({ length: WRITERS }, (_, i) =>
      write(port, i + 1, keys, acrossKeys, () => busy, brief),
    );
    const watchers: { path: string; stream: EventStream }[] = [];
    for (let i = 0; i < WATCHERS; i++) {
      await pause(random.below(20));
      const path = WATCHED[i % WATCHED.length]!;
      watchers.push({ path, stream: await EventStream.open(port, path) });
    }
    await Promise.all(watchers.map(({ stream }) => stream.until(({ event }) => event === 'ready')));
    busy = false;
    await Promise.all(writers);
    // Most have expired by now; of the others no expiry comes later, as one more change of every target marks the end.
    await pause(1200);
    await eachAtOnce(brief, 16, (key) => stored(port, key, 'lasting'));
    const marks = new Map<string, string>();
    for (const key of ['k/1end', 'k/7', 'k/12', 'k/1last'])
      marks.set(key, (await stored(port, key, 'end')).slice(1, -1));
    for (const { path, stream } of watchers) {
      const ends = [...marks].filter(([key]) => concerns(path, key));
      await Promise.all(ends.map(([key, etag]) => stream.told(key, etag)));
      stream.close();
    }
    const store = await stateOf(port, '');
    for (const path of WATCHED) {
      const held = [...store].filter(([key]) => concerns(path, key));
      for (const { stream } of watchers.filter((watcher) => watcher.path === path)) {
        const { events } = stream;
        expect(disorderOf(events)).toEqual([]);
        expect(stateAfter(events)).toEqual(new Map(held));
        expect(stream.names.filter((name) => name === 'ready' || name === 'reset')).toEqual(['ready']);
        // Once live, every change is told, just as the log has it.
        const ready = events.find(({ event }) => event === 'ready')!;
        const live = events.slice(events.indexOf(ready) + 1);
        const log = await logOf(port, path, ready.id!);
        if (!isOrdered) expect(byKey(live)).toEqual(byKey(log));
        else expect(live).toEqual(log);
        if (!isOrdered) continue;
        const shown = events.slice(0, events.indexOf(ready)).map((each) => `${each.event} ${each.data}`);
        expect(new Set(shown).size).toBe(shown.length);
      }
    }
    await target.close();
  });
});

function concerns(path: string, key: string): boolean {
  if (path === '/kv/k%2F7') return key === 'k/7';
  if (path === '/kv?key=k%2F12') return key === 'k/12';
  return path === '/kv?prefix=k/1' ? key.startsWith('k/1') : true;
}
