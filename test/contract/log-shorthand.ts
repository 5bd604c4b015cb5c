import type { Change, StorageEngine } from '../../src/storage/storage-engine.js';
import type { Random } from '../support/random.js';
import { codeOf, incrOf, put, putOf, scanned } from './shorthand.js';

/** Everything behind `position`; undefined if it cannot be served. A log that does not end fails. */
export async function following(engine: StorageEngine, position: string): Promise<Change[] | undefined> {
  const all: Change[] = [];
  for (let reads = 0; reads < 10_000; reads++) {
    const changes = await engine.changes(position);
    if (!changes) return undefined;
    if (changes.length === 0) return all;
    all.push(...changes);
    position = changes.at(-1)!.position;
  }
  throw new Error('the log does not end');
}

/** Kinds and keys of everything behind `position`. */
export async function told(engine: StorageEngine, position: string): Promise<string[]> {
  return (await following(engine, position))!.map(({ kind, key }) => `${kind} ${key}`);
}

/** What happened to each key, in order: what every engine promises of its log. */
export function byKey(changes: readonly Change[]): Map<string, string[]> {
  const kinds = new Map<string, string[]>();
  for (const { kind, key, etag } of changes) kinds.set(key, [...(kinds.get(key) ?? []), `${kind} ${etag}`]);
  return kinds;
}

/** What somebody holds who begins with `state` and applies `changes`: key → tag. */
export function apply(state: Map<string, string>, changes: readonly Change[]): Map<string, string> {
  for (const { kind, key, etag } of changes) {
    if (kind === 'put') state.set(key, etag);
    else state.delete(key);
  }
  return state;
}

export async function tagsOf(engine: StorageEngine): Promise<[string, string][]> {
  return (await scanned(engine)).map(({ key, etag }) => [key, etag]);
}

/** A random write; refused ones are part of it. The keys are of eight tags. */
export async function scribble(engine: StorageEngine, random: Random): Promise<void> {
  const group = `k{${random.below(8)}}`;
  const key = `${group}${random.below(5)}`;
  const other = `${group}${random.below(5)}`;
  switch (random.below(6)) {
    case 0:
      return void (await engine.write({ op: 'delete', key }));
    case 1:
      return void (await codeOf(engine.batch([putOf(key, '1'), incrOf(other, 1n), putOf(key, '2')], true)));
    case 2:
      return void (await engine.batch([incrOf(key, 1n), { op: 'delete', key: other }], false));
    case 3:
      return void (await codeOf(engine.write(putOf(key, '1', { condition: { ifNoneMatch: '*' } }))));
    case 4:
      return void (await codeOf(engine.write({ op: 'touch', key, expiry: { in: 60_000 } })));
    default:
      await put(engine, key, 'x'.repeat(random.below(50)));
  }
}
