import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ask, type Answer } from '../../../support/http.js';
import { pathOf, put, stored, type Page } from '../../../support/kv.js';
import type { Target } from '../../../support/target.js';
import { CLUSTERS, describeOn, TARGETS } from '../../../support/ways.js';
import { disorderOf, EventStream, stateAfter, toldOf, type SentEvent } from '../../../support/events.js';
import { Random } from '../../../support/random.js';

const ROUNDS = 12;
const WRITERS = 3;
const LINES = { Accept: 'application/x-ndjson' };

describeOn(TARGETS)('listing, then watching from KV-Revision, $name', ({ start, lacks }) => {
  const hasSnapshots = !lacks.includes('snapshots');
  let target: Target;
  beforeAll(async () => {
    target = await start();
  });
  afterAll(() => target.close());

  const revisionOf = ({ headers }: Answer) => String(headers['kv-revision']);

  /** Everything that is told of `path` after `since`, up to the put of `end`. */
  async function toldAfter(path: string, since: string, end: string): Promise<SentEvent[]> {
    const stream = await EventStream.open(target.port, `${path}&since=${since}`);
    const etag = (await stored(target.port, end, 'end')).slice(1, -1);
    await stream.told(end, etag);
    stream.close();
    expect(stream.names).not.toContain('reset');
    return stream.events.filter(({ event }) => event !== 'ready');
  }

  /** Runs `listings` while others write and delete keys that begin with `prefix`. */
  async function whileOthersWrite<T>(prefix: string, listings: () => Promise<T>): Promise<T> {
    let busy = true;
    const write = async (seed: number) => {
      const random = new Random(seed);
      while (busy) {
        const key = `${prefix}${random.below(60)}`;
        if (random.chance(0.7)) await stored(target.port, key, String(seed));
        else await ask(target.port, pathOf(key), { method: 'DELETE' });
      }
    };
    const writers = Array.from({ length: WRITERS }, (_, i) => write(i + 1));
    try {
      return await listings();
    } finally {
      busy = false;
      await Promise.all(writers);
    }
  }

  async function listed(prefix: string): Promise<Map<string, string>> {
    const { items } = JSON.parse((await ask(target.port, `/kv?prefix=${prefix}&limit=1000`)).text) as Page;
    return new Map(items.map(({ key, etag }) => [key, etag]));
  }

  test('a page and the events after it make the database, without a gap and nothing twice', async () => {
    const pages = await whileOthersWrite('page/', async () => {
      const answers: Answer[] = [];
      for (let i = 0; i < ROUNDS; i++) answers.push(await ask(target.port, '/kv?prefix=page/&limit=1000'));
      return answers;
    });
    for (const page of pages) {
      const { items } = JSON.parse(page.text) as Page;
      const shown = items.map((item) => ({ event: 'put', data: JSON.stringify(item) }));
      const told = await toldAfter('/kv?prefix=page/', revisionOf(page), 'page/end');
      expect(disorderOf([...shown, ...told])).toEqual([]);
      expect(stateAfter([...shown, ...told])).toEqual(await listed('page/'));
    }
  });

  test('so do an export and the events after it', async () => {
    const exports = await whileOthersWrite('export/', async () => {
      const answers: Answer[] = [];
      for (let i = 0; i < ROUNDS; i++)
        answers.push(await ask(target.port, '/kv?prefix=export/', { headers: LINES }));
      return answers;
    });
    for (const answer of exports) {
      const keys = new Set(
        answer.text
          .split('\n')
          .slice(0, -2)
          .map((line) => toldOf({ event: '', data: line }).key),
      );
      for (const event of await toldAfter('/kv?prefix=export/', revisionOf(answer), 'export/end')) {
        const { key } = toldOf(event);
        // What is deleted was there, in one snapshot.
        if (hasSnapshots && event.event === 'delete') expect(keys).toContain(key);
        if (event.event === 'put') keys.add(key);
        else keys.delete(key);
      }
      expect(keys).toEqual(new Set((await listed('export/')).keys()));
    }
  });

  test.each([
    ['HEAD', '/kv?prefix=count/', {}],
    ['HEAD', '/kv?prefix=count/', LINES],
  ])('so do a count and the events after it: %s %s %j', async (method, path, headers) => {
    const counts: Answer[] = [];
    let made = 0;
    await Promise.all([
      (async () => {
        for (let i = 0; i < ROUNDS; i++) counts.push(await ask(target.port, path, { method, headers }));
      })(),
      ...Array.from({ length: WRITERS }, async () => {
        for (let i = 0; i < 40; i++) await stored(target.port, `count/${Math.random()}-${made++}`, 'x');
      }),
    ]);
    for (const answer of counts) {
      const told = await toldAfter(path, revisionOf(answer), 'count/end');
      const fresh = new Set(told.map((event) => toldOf(event).key));
      const total = (await listed('count/')).size;
      const ends = Number(answer.headers['kv-count']) + fresh.size;
      // The key that marks the end may have been there before.
      expect([total, total + 1]).toContain(ends);
    }
    await ask(target.port, '/kv?prefix=count/', { method: 'DELETE' });
  });

  test('304, HEAD and an export of nothing have it, and an error has not', async () => {
    await stored(target.port, 'some', 'x');
    const page = await ask(target.port, '/kv?prefix=some');
    const revision = revisionOf(page);
    const known = { headers: { 'If-None-Match': page.headers.etag } };
    const answers = [
      await ask(target.port, '/kv?prefix=some', known),
      await ask(target.port, '/kv?prefix=some', { method: 'HEAD' }),
      await ask(target.port, '/kv?prefix=some&count=true'),
      await ask(target.port, '/kv?prefix=none', { headers: LINES }),
      await ask(target.port, '/kv?prefix=none', { method: 'HEAD', headers: LINES }),
    ];
    expect(answers.map(revisionOf)).toEqual(answers.map(() => revision));
    expect((await ask(target.port, '/kv?limit=0')).headers).not.toHaveProperty('kv-revision');
    expect((await put(target.port, 'some', 'y')).headers).not.toHaveProperty('kv-revision');
  });

  test.each(['garbage', '0', '00000001-0000000000001', 'ffffffff-fffffffffffff', '%2B'])(
    'a since that cannot be served is a reset and a snapshot: %s',
    async (since) => {
      await stored(target.port, 'kept', 'x');
      const stream = await EventStream.live(target.port, `/kv/kept?since=${since}`);
      expect(stream.names).toEqual(['reset', 'put', 'ready']);
      stream.close();
    },
  );

  test('Last-Event-ID counts before since, and an empty one is none', async () => {
    await stored(target.port, 'kept', 'x');
    const since = revisionOf(await ask(target.port, '/kv?prefix=kept'));
    const names = async (path: string, id: string) => {
      const stream = await EventStream.live(target.port, path, { 'Last-Event-ID': id });
      stream.close();
      return stream.names;
    };
    expect(await names(`/kv/kept?since=${since}`, '')).toEqual(['ready']);
    expect(await names(`/kv/kept?since=garbage`, since)).toEqual(['ready']);
    expect(await names(`/kv/kept?since=${since}`, 'garbage')).toEqual(['reset', 'put', 'ready']);
  });
});

describe.each(CLUSTERS)('$name', ({ start }) => {
  test('has no KV-Revision, because its changes have no one order', async () => {
    const target = await start();
    for (const question of [{}, { method: 'HEAD' }, { headers: LINES }])
      expect((await ask(target.port, '/kv', question)).headers).not.toHaveProperty('kv-revision');
    await target.close();
  });
});
