import type { StorageEngine } from '../storage/storage-engine.js';

const LOOK_EVERY_MS = 200;
/** More are not kept: everything is compared again instead. */
const MAX_KEYS = 1_000_000;

/** Which keys of a database have changed since it was last asked, by its change log. */
export class ChangedKeys {
  private keys = new Set<string>();
  private position = '';
  /** Whether the log has moved past the position, or too much has changed. */
  private lost = false;
  private reading: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly source: StorageEngine,
    private readonly signal: AbortSignal,
  ) {}

  /** Begins at the present, and reads the log from time to time, so that it does not move past. */
  async start(): Promise<void> {
    this.stop();
    this.keys = new Set();
    this.position = await this.source.position();
    this.lost = false;
    this.timer = setInterval(() => void this.read().catch(() => undefined), LOOK_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Reads the log to its end. False if something has been missed. */
  async read(): Promise<boolean> {
    this.reading ??= this.readOn().finally(() => (this.reading = undefined));
    await this.reading;
    // A read that was under way may have begun too early.
    this.reading ??= this.readOn().finally(() => (this.reading = undefined));
    await this.reading;
    return !this.lost;
  }

  /** The keys so far, each once; they are not told again. */
  take(): string[] {
    const keys = [...this.keys];
    this.keys.clear();
    return keys;
  }

  private async readOn(): Promise<void> {
    while (!this.lost && !this.signal.aborted) {
      const changes = await this.source.changes(this.position);
      this.lost = changes === undefined || this.keys.size > MAX_KEYS;
      if (!changes || changes.length === 0) return;
      for (const { key } of changes) this.keys.add(key);
      this.position = changes.at(-1)!.position;
    }
  }
}
