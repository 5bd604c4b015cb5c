import { expect } from '@jest/globals';
import type { BatchOperation, Operation } from '../../../src/storage/operation.js';
import type { StorageEngine } from '../../../src/storage/storage-engine.js';
import { entryOf, headerOf, incrOf, put, putOf, refusalOf } from '../shorthand.js';
import type { Fixture, Rule } from '../rule.js';

/** Makes changes of every kind on the same two keys, three times. Returns all tags in order. */
async function tagsOfManyChanges(engine: StorageEngine): Promise<string[]> {
  const tags: string[] = [];
  const changes: readonly Operation[] = [
    putOf('a', '1'),
    putOf('a', '1'),
    incrOf('a', 0n),
    { op: 'touch', key: 'a', expiry: { in: 60_000 } },
    { op: 'touch', key: 'a', expiry: { in: 60_000 } },
    putOf('a', '1', { expiry: 'keep' }),
    putOf('b', '1'),
  ];
  for (let round = 0; round < 3; round++) {
    for (const change of changes) tags.push(entryOf(await engine.write(change)).etag);
    await engine.write({ op: 'delete', key: 'a' });
  }
  return tags;
}

async function tagsOverRestarts(fixture: Fixture): Promise<string[]> {
  const tags = await tagsOfManyChanges(fixture.engine);
  await fixture.reopen();
  tags.push(...(await tagsOfManyChanges(fixture.engine)));
  fixture.time.setWall(fixture.time.wall - 86_400_000);
  await fixture.reopen();
  tags.push(...(await tagsOfManyChanges(fixture.engine)));
  return tags;
}

/** Every change takes a new tag. */
export const tagRules: readonly Rule[] = [
  {
    rule: 'every change of value, type or expiry takes a tag that was never used before',
    async run({ engine }) {
      const tags = await tagsOfManyChanges(engine);
      expect(new Set(tags).size).toBe(tags.length);
    },
  },
  {
    rule: 'no tag is used again after a restart, even if the clock is set back a day',
    async run(fixture) {
      const tags = await tagsOverRestarts(fixture);
      expect(new Set(tags).size).toBe(tags.length);
    },
  },
  {
    rule: 'a tag from before a restart no longer matches an entry written after it',
    async run(fixture) {
      const { etag } = await put(fixture.engine, 'a', 'x');
      await fixture.reopen();
      await put(fixture.engine, 'a', 'x');
      const stale = put(fixture.engine, 'a', 'y', { condition: { ifMatch: [etag] } });
      expect((await refusalOf(stale)).code).toBe('precondition-failed');
    },
  },
  {
    rule: 'tags sort by age as strings',
    needs: 'orderedTags',
    async run({ engine }) {
      const tags = await tagsOfManyChanges(engine);
      expect(tags.toSorted()).toEqual(tags);
    },
  },
  {
    rule: 'tags sort by age across restarts, even if the clock is set back',
    needs: 'durable',
    async run(fixture) {
      if (!fixture.engine.capabilities.orderedTags) return;
      const tags = await tagsOverRestarts(fixture);
      expect(tags.toSorted()).toEqual(tags);
    },
  },
  {
    rule: 'a tag is ASCII text that may stand between the quotes of a header',
    async run({ engine }) {
      for (const tag of await tagsOfManyChanges(engine)) expect(tag).toMatch(/^[\x21\x23-\x7e]{1,100}$/);
    },
  },
  {
    rule: 'a tag in the error of a batch is never the tag of another state',
    async run({ engine }) {
      const planned: BatchOperation[] = [
        putOf('a', 'x'),
        { op: 'check', key: 'a', condition: { ifMatch: [] } },
      ];
      const shown = [
        await refusalOf(engine.batch(planned, true)),
        await refusalOf(engine.batch(planned, true)),
      ];
      const tags = shown.map(({ etag }) => etag).filter((etag) => etag !== undefined);
      tags.push((await put(engine, 'b', 'x')).etag, (await put(engine, 'a', 'y')).etag);
      expect(new Set(tags).size).toBe(tags.length);
    },
  },
  {
    rule: 'operations that change nothing take no new tag: reads, checks, refusals, deletions of absent keys',
    async run({ engine }) {
      const before = await put(engine, 'a', 'x');
      await engine.write({ op: 'get', key: 'a' });
      await engine.write({ op: 'check', key: 'a', condition: { ifMatch: '*' } });
      await engine.write({ op: 'delete', key: 'absent' });
      await refusalOf(engine.write(incrOf('a', 1n)));
      await refusalOf(put(engine, 'a', 'y', { condition: { ifNoneMatch: '*' } }));
      await refusalOf(engine.batch([putOf('a', 'y'), incrOf('a', 1n)], true));
      expect(headerOf((await engine.get('a'))!)).toEqual(headerOf(before));
    },
  },
];
