import { expect, test } from '@jest/globals';
import type { Watcher } from '../../../../src/kv/watch/audiences.js';
import { WatchHub } from '../../../../src/kv/watch/watch-hub.js';
import { FenceWatch } from '../../../../src/storage/fence-watch.js';
import { MemoryEngine } from '../../../../src/storage/memory.engine.js';
import { put } from '../../../contract/shorthand.js';
import { eventually } from '../../../support/eventually.js';

/** More than are told in one turn. */
const WATCHERS = 250;
const CHANGES = 5;

test('a heartbeat in the middle of telling many takes nobody back', async () => {
  const engine = new MemoryEngine();
  await engine.open();
  const hub = new WatchHub(engine, new FenceWatch(engine));
  hub.onModuleInit();
  let isBeating = false;
  const positions = Array.from({ length: WATCHERS }, (): string[] => []);
  for (const told of positions) {
    const watcher: Watcher = {
      deliver: (_events, changes) => {
        told.push(...changes.map(({ position }) => position));
        if (!isBeating) setImmediate(() => void hub['beat'](hub['audiences'].all()));
        isBeating = true;
      },
      heartbeat: (_event, position) => told.push(position),
      end: () => undefined,
    };
    hub.join([{ prefix: '' }], watcher, '');
  }
  await hub.follow();
  for (let i = 0; i < CHANGES; i++) await put(engine, `k${i}`, 'x');
  await eventually(() => positions.every((told) => told.length > CHANGES), 'the heartbeat');
  hub.onModuleDestroy();
  await engine.close();
  for (const told of positions) {
    expect(told).toEqual(told.toSorted());
    expect(told).toHaveLength(CHANGES + 1);
  }
});
