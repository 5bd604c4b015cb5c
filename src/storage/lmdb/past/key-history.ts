import { parseTag } from '../../revision.js';
import { Segment } from '../log-segment.js';
import type { LoggedChange } from '../logged-change.js';
import { revisionOf } from '../record.js';
import type { Store } from '../store.js';
import { segmentAt, type LogLookup } from './log-lookup.js';
import { lastRemoval, readMark } from './removals.js';

/** What is before the changes that were found: nothing, nothing that the log still has, or something that is not known any more. */
export type Before = 'nothing' | 'nothing-logged' | 'unknown';

/** Changes of a key; undefined, now and then, where somebody else may have a turn. */
export type Steps = Generator<LoggedChange | undefined, Before>;

/** Where the change before one is: a put that is known by its sequence, or the last removal before a sequence. */
type Lead = { readonly put: number } | { readonly removalBefore: number };

/** Changes that are passed over before somebody else may have a turn. */
const PAUSE_AFTER = 8;
/** What is looked through before that. */
const READ_BYTES = 256 * 1024;

/**
 * The history of one key up to the present, newest first.
 *
 * A change leads to the put that it replaced. What a put that created its entry follows, and what came last for a key that has no
 * entry, is a removal: in the index, or in the end of the log that the index does not know yet. What has left the log
 * meanwhile is not found any more.
 */
export class KeyHistory {
  private readonly head;
  private readonly indexed: number;
  private readonly bytes: Buffer;
  /** The sequence of the entry as it is, expired or not. */
  readonly present: number | undefined;
  /** Sequences of removals that the index does not know, oldest first. */
  private unindexed: readonly number[] | undefined;

  constructor(
    private readonly store: Store,
    private readonly lookup: LogLookup,
    private readonly key: string,
  ) {
    this.head = store.readHead();
    this.indexed = readMark(store).indexed;
    this.bytes = Buffer.from(key);
    const record = store.entries.borrow(key);
    this.present = record && revisionOf(record)?.sequence;
  }

  /** Yields all changes. */
  all(): Steps {
    return this.follow(this.present === undefined ? { removalBefore: Infinity } : { put: this.present });
  }

  /** Yields those before the change of a tag, which need not be one of this key. */
  *before(tag: string): Steps {
    const { sequence } = parseTag(tag)!;
    const own = this.own(sequence);
    if (own) return yield* this.beforeOwn(own);
    const steps = this.all();
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      yield value && value.sequence < sequence ? value : undefined;
    }
  }

  /** Yields those before a change of this key. */
  *beforeOwn(change: LoggedChange): Steps {
    const lead = leadOf(change);
    return lead ? yield* this.follow(lead) : 'unknown';
  }

  /** Returns the change of a sequence, if it is one of this key that the log still has. */
  own(sequence: number): LoggedChange | undefined {
    if (sequence <= this.floor) return undefined;
    const change = this.lookup.find(this.store, sequence);
    return change?.isOf(this.bytes) ? change : undefined;
  }

  private *follow(start: Lead): Steps {
    let lead: Lead | undefined = start;
    for (let passed = 1; lead; passed++) {
      if (passed % PAUSE_AFTER === 0) yield undefined;
      const sequence: number | undefined = 'put' in lead ? lead.put : yield* this.removal(lead.removalBefore);
      if (sequence === undefined || (sequence <= this.floor && !('put' in lead)))
        return this.floor > 0 ? 'nothing-logged' : 'nothing';
      const change: LoggedChange | undefined = this.own(sequence);
      if (!change) return 'unknown';
      yield change;
      lead = leadOf(change);
    }
    return 'unknown';
  }

  private get floor(): number {
    return this.head.log.floor.sequence;
  }

  private *removal(before: number): Generator<undefined, number | undefined> {
    this.unindexed ??= yield* this.lookThrough();
    return this.unindexed.findLast((each) => each < before) ?? lastRemoval(this.store, this.key, before);
  }

  /** Looks through the end of the log for removals. */
  private *lookThrough(): Generator<undefined, number[]> {
    const found: number[] = [];
    for (let read = this.indexed, before = -1; read < this.head.sequence && read !== before;) {
      before = read;
      read = this.lookThroughPiece(read, found);
      yield undefined;
    }
    return found.filter((each) => each <= this.head.sequence);
  }

  /** Returns how far it has come. */
  private lookThroughPiece(start: number, found: number[]): number {
    const { log } = this.store;
    let read = start;
    let bytes = 0;
    for (const { key, value } of log.getRange({ start: segmentAt(log, start + 1) })) {
      const segment = Segment.parse(value);
      read = Math.max(read, segment?.last.sequence ?? key);
      for (const change of segment?.changes() ?? [])
        if (change.kind !== 'put' && change.isOf(this.bytes) && change.sequence > start)
          found.push(change.sequence);
      bytes += value.length;
      if (bytes >= READ_BYTES) break;
    }
    return read;
  }
}

/** Returns undefined for a change of a version before this one, which did not say what it replaced. */
function leadOf({ replaces, sequence }: LoggedChange): Lead | undefined {
  if (replaces === 0) return undefined;
  return replaces === undefined ? { removalBefore: sequence } : { put: replaces };
}
