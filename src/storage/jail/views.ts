import { DatabaseError } from '../../errors.js';
import type { Entry, EntryHeader } from '../entry.js';
import type { Operation, Outcome } from '../operation.js';
import type { Change, RangePage } from '../storage-engine.js';
import type { Namespace } from './namespace.js';

/* What an engine returns, under other names. Views, because engines decode many fields only when they are read. */

/** An entry under another key. */
export class RenamedEntry implements Entry {
  constructor(
    readonly key: string,
    private readonly renamed: EntryHeader & { readonly value?: Buffer },
  ) {}

  get type(): string {
    return this.renamed.type;
  }

  get size(): number {
    return this.renamed.size;
  }

  get etag(): string {
    return this.renamed.etag;
  }

  get created(): number {
    return this.renamed.created;
  }

  get modified(): number {
    return this.renamed.modified;
  }

  get expires(): number {
    return this.renamed.expires;
  }

  /** Undefined where the engine was not asked for it. */
  get value(): Buffer {
    return this.renamed.value!;
  }
}

/** A change under another key. */
export class RenamedChange implements Change {
  constructor(
    readonly key: string,
    readonly change: Change,
  ) {}

  get position(): string {
    return this.change.position;
  }

  get kind(): Change['kind'] {
    return this.change.kind;
  }

  get time(): number {
    return this.change.time;
  }

  get by(): string | undefined {
    return this.change.by;
  }

  get etag(): string {
    return this.change.etag;
  }

  get entry(): EntryHeader | undefined {
    const { entry } = this.change;
    return entry && new RenamedEntry(this.key, entry);
  }

  get value(): Buffer | undefined {
    return this.change.value;
  }
}

/** Returns a page in the names of a namespace. */
export function pageInside(page: RangePage, names: Namespace): RangePage {
  return {
    items: page.items.map((item) => new RenamedEntry(names.nameOf(item.key), item)),
    groups: page.groups.map((group) => names.nameOf(group)),
    ...(page.damaged && { damaged: page.damaged.map((key) => names.nameOfDamaged(key)) }),
    next: page.next === undefined ? undefined : names.nameOf(page.next),
    get position() {
      return page.position;
    },
  };
}

export function outcomeInside(outcome: Outcome, { key }: Operation): Outcome {
  return 'entry' in outcome ? { kind: outcome.kind, entry: new RenamedEntry(key, outcome.entry) } : outcome;
}

/** Returns what a batch came to in the names of a namespace, in which `operations` are. */
export function outcomesInside(
  outcomes: readonly (Outcome | DatabaseError)[],
  operations: readonly Operation[],
  names: Namespace,
): (Outcome | DatabaseError)[] {
  return outcomes.map((outcome, i) => {
    if (!(outcome instanceof DatabaseError)) return outcomeInside(outcome, operations[i]!);
    // What an atomic batch was refused with stands alone.
    return names.errorInside(outcome, operations[outcome.context.index ?? i]!.key) as DatabaseError;
  });
}
