import type { StorageEngine } from '../storage/storage-engine.js';

const READ_EVERY_MS = 200;
/** With more changed keys than this, comparing everything again is better than keeping them. */
const MAX_KEYS = 1_000_000;

/** Collects, from the change log of a database, which keys have changed. */
export class ChangedKeys {
  /** key → size of its last value, bytes; 0 if it was removed */
  private sizes = new Map<string, number>();
  private position = '';
  private lost = false;
  private reading: Promise<boolean> | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly source: StorageEngine) {}

  /** Whether some changed keys are not known: the log dropped them before they were read, or they were too many. */
  get isLost(): boolean {
    return this.lost;
  }

  get hasKeys(): boolean {
    return this.sizes.size > 0;
  }

  /** Starts at the present, and keeps reading, so that the log does not drop changes before they are read. */
  async start(): Promise<void> {
    this.stop();
    await this.reading?.catch(() => undefined);
    this.sizes = new Map();
    this.position = await this.source.position();
    this.lost = false;
    this.timer = setInterval(() => void this.readOnce().catch(() => undefined), READ_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Reads what was logged before the call, for a moment at most. Returns whether it has reached the end of the log. */
  async read(): Promise<boolean> {
    // A read that is under way may have started too early.
    await this.reading?.catch(() => undefined);
    return this.readOnce();
  }

  /** Returns the keys collected since the last call, each with a size. */
  take(): ReadonlyMap<string, number> {
    const { sizes } = this;
    this.sizes = new Map();
    return sizes;
  }

  private readOnce(): Promise<boolean> {
    this.reading ??= this.readChanges().finally(() => (this.reading = undefined));
    return this.reading;
  }

  /** Stops after a while even before the end, because changes may come faster than they are read. */
  private async readChanges(): Promise<boolean> {
    const end = performance.now() + READ_EVERY_MS;
    while (!this.lost && performance.now() < end) {
      const page = await this.source.changes(this.position);
      this.lost = page === undefined || this.sizes.size > MAX_KEYS;
      if (!page || page.changes.length === 0) return !this.lost;
      for (const { key, entry } of page.changes) this.sizes.set(key, entry?.size ?? 0);
      this.position = page.position;
    }
    return false;
  }
}
