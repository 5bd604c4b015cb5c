import type { Entry, EntryHeader } from '../entry.js';
import type { Change } from '../storage-engine.js';

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
