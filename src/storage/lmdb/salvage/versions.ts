import type { Revision } from '../../revision.js';
import { Segment } from '../log-segment.js';
import type { LoggedChange } from '../logged-change.js';
import { PlainEntry, revisionOf, type StoredEntry } from '../record.js';
import { entryOf } from '../pages/entries.js';
import { nodeAt, type Node } from '../pages/page.js';
import type { PageFile } from '../pages/page-file.js';
import type { OldPage } from './old-pages.js';

/** Longest key of a segment of the log: a number. */
const NUMBER_KEY_BYTES = 9;
const SHORTEST_SEGMENT_BYTES = 40;

/** Where a whole record was found. */
interface Version extends Revision {
  readonly page: number;
  readonly offset: number;
  /** Whether it is in a segment of the log. */
  readonly isLogged: boolean;
  readonly isCurrent: boolean;
}

/** Everything that a file says of one key. */
interface KeyHistory {
  /** The newest record that is whole. */
  version: Version | undefined;
  /** The newest change, which may be a put whose value is not to be had. */
  newest: Revision;
  /** Whether that is a deletion. */
  isDeleted: boolean;
  /** The last transaction that wrote the key into a leaf. */
  transaction: number;
}

/** Collects what pages say of the keys that `accepts` names. */
export class Versions {
  readonly keys = new Map<string, KeyHistory>();

  constructor(
    private readonly file: PageFile,
    private readonly accepts: (key: Buffer) => boolean,
  ) {}

  collectRecords(page: OldPage): void {
    for (const node of page.nodes) if (this.accepts(node.key)) this.collectRecord(page, node);
  }

  collectLog(page: OldPage): void {
    for (const node of page.nodes) this.collectSegment(page, node);
  }

  /** Reads the entry of a version again. */
  read(key: string, { page, offset, isLogged, sequence }: Version): StoredEntry | undefined {
    const bytes = this.file.read(page);
    const node = bytes && nodeAt(bytes, offset);
    if (!node) return undefined;
    if (!isLogged) return entryOf(this.file, node);
    for (const change of changesOf(this.file, node)) {
      if (change.sequence !== sequence || change.key !== key) continue;
      return new PlainEntry(change.entry as StoredEntry);
    }
    return undefined;
  }

  private collectRecord({ number, transaction, isCurrent }: OldPage, node: Node): void {
    const key = node.key.toString();
    const known = this.keys.get(key);
    if (known) known.transaction = Math.max(known.transaction, transaction);
    const revision = revisionOf(this.file.beginningOf(node) ?? node.data);
    if (!revision) return;
    const version = { ...revision, page: number, offset: node.offset, isLogged: false, isCurrent };
    // A large value that another has overtaken need not be read.
    if (isBetter(version, known?.version) && entryOf(this.file, node)) this.add(key, version, transaction);
  }

  private collectSegment({ number, transaction }: OldPage, node: Node): void {
    const writtenBy = node.run?.transaction ?? transaction;
    for (const change of changesOf(this.file, node)) {
      if (!this.accepts(Buffer.from(change.key))) continue;
      const { epoch, sequence } = change;
      const place = { page: number, offset: node.offset, isLogged: true, isCurrent: false };
      if (change.kind === 'put' && !change.isLarge) {
        this.add(change.key, { epoch, sequence, ...place }, writtenBy);
      } else {
        this.note(change.key, { epoch, sequence }, change.kind !== 'put', writtenBy);
      }
    }
  }

  private add(key: string, version: Version, transaction: number): void {
    const history = this.note(key, version, false, transaction);
    if (isBetter(version, history.version)) history.version = version;
  }

  private note(
    key: string,
    { epoch, sequence }: Revision,
    isDeleted: boolean,
    transaction: number,
  ): KeyHistory {
    let history = this.keys.get(key);
    if (!history) {
      history = { version: undefined, newest: { epoch, sequence }, isDeleted, transaction };
      this.keys.set(key, history);
    } else if (isAfter({ epoch, sequence }, history.newest)) {
      history.newest = { epoch, sequence };
      history.isDeleted = isDeleted;
    }
    history.transaction = Math.max(history.transaction, transaction);
    return history;
  }
}

/** What a current page holds is never older, whatever a crash has left elsewhere. A leaf is read faster than a segment. */
function isBetter(version: Version, known: Version | undefined): boolean {
  if (!known) return true;
  if (version.isCurrent !== known.isCurrent) return version.isCurrent;
  if (isAfter(version, known)) return true;
  return !isAfter(known, version) && known.isLogged && !version.isLogged;
}

export function isAfter(a: Revision, b: Revision): boolean {
  return a.epoch === b.epoch ? a.sequence > b.sequence : a.epoch > b.epoch;
}

/** The keys that changes after `sequence` have put or deleted, as far as a page tells. */
export function* newKeysIn(file: PageFile, page: OldPage, sequence: number): Iterable<Buffer> {
  for (const node of page.nodes) {
    const record = file.beginningOf(node);
    if (record && (revisionOf(record)?.sequence ?? 0) > sequence && entryOf(file, node))
      yield Buffer.from(node.key);
    for (const change of changesOf(file, node)) if (change.sequence > sequence) yield Buffer.from(change.key);
  }
}

/** The changes in a node's value, if that is a segment of the log. */
function changesOf(file: PageFile, node: Node): Iterable<LoggedChange> {
  if (node.key.length > NUMBER_KEY_BYTES || node.size < SHORTEST_SEGMENT_BYTES) return [];
  const value = file.valueOf(node);
  return (value && Segment.parse(value)?.changes()) ?? [];
}
