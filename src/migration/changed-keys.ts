import type { StorageEngine } from '../storage/storage-engine.js';

const LOOK_EVERY_MS = 200;
/** More are not kept: everything is compared again instead. */
const MAX_KEYS = 1_000_000;

/** Which keys of a database have changed since it was last asked, by its change log. */
export class ChangedKeys {
  /** key → size of its value, bytes, when it was last put. */
  private sizes = new Map<string, number>();
  private position = '';
  private lost = false;
  private reading: Promise<boolean> | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly source: StorageEngine) {}

  /** Whether the log has moved past the reader, or too much has changed, so that some keys are not known. */
  get isLost(): boolean {
    return this.lost;
  }

  get hasKeys(): boolean {
    return this.sizes.size > 0;
  }

  /** Begins at the present, and reads the log from time to time, so that it does not move past. */
  async start(): Promise<void> {
    this.stop();
    await this.reading?.catch(() => undefined);
    this.sizes = new Map();
    this.position = await this.source.position();
    this.lost = false;
    this.timer = setInterval(() => void this.readOn().catch(() => undefined), LOOK_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Reads what the log has had until now, for a moment at most. Answers whether it has come to its end. */
  async read(): Promise<boolean> {
    // One that is under way may have begun too early.
    await this.reading?.catch(() => undefined);
    return this.readOn();
  }

  /** The keys so far, each once, with a size for each; they are not told again. */
  take(): ReadonlyMap<string, number> {
    const { sizes } = this;
    this.sizes = new Map();
    return sizes;
  }

  private readOn(): Promise<boolean> {
    this.reading ??= this.readSome().finally(() => (this.reading = undefined));
    return this.reading;
  }

  /** Those who write may be faster than this, so that the end need never come. */
  private async readSome(): Promise<boolean> {
    const until = performance.now() + LOOK_EVERY_MS;
    while (!this.lost && performance.now() < until) {
      const changes = await this.source.changes(this.position);
      this.lost = changes === undefined || this.sizes.size > MAX_KEYS;
      if (!changes || changes.length === 0) return !this.lost;
      for (const { key, entry } of changes) this.sizes.set(key, entry?.size ?? 0);
      this.position = changes.at(-1)!.position;
    }
    return false;
  }
}
