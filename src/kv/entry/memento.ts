import { MissingKeyError } from '../../errors.js';
import type { Entry, EntryHeader } from '../../storage/entry.js';
import type { Version } from '../../storage/past.js';
import { pathOf } from '../key.js';

/** A version of a key that was not absent. */
export type Memento = Version & { readonly entry: EntryHeader };

/** @throws MissingKeyError if the key was absent */
export function present(key: string, version: Version): Memento {
  if (version.entry) return version as Memento;
  throw new MissingKeyError(key, ' of that moment');
}

/** Returns the entry of a version with its value. */
export function entryOf({ entry }: Memento, value: Buffer): Entry {
  const { key, type, size, etag, created, modified, expires } = entry;
  return { key, type, size, etag, created, modified, expires, value };
}

/** Returns the path of the version of `key` with a tag. */
export function versionPath(key: string, etag: string): string {
  return withQuery(pathOf(key), `at=${etag}`);
}

export function withQuery(path: string, query: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}${query}`;
}

/**
 * Returns the Link header of a version: the resource itself, which is its own TimeGate, and its neighbours (RFC 7089, 2.2; RFC
 * 5829). `base` precedes paths (PUBLIC_URL).
 */
export function linksOf({ entry, predecessor, successor }: Memento, base: string): string {
  const { key } = entry;
  const links = [`<${base}${pathOf(key)}>; rel="original timegate"`];
  if (predecessor !== undefined)
    links.push(`<${base}${versionPath(key, predecessor)}>; rel="predecessor-version"`);
  if (successor !== undefined) links.push(`<${base}${versionPath(key, successor)}>; rel="successor-version"`);
  return links.join(', ');
}
