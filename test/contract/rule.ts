import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../src/storage/clock.js';
import { MAX_STORED_KEY_BYTES } from '../../src/storage/entry.js';
import type { Capabilities } from '../../src/storage/capabilities.js';
import type { Awaitable, StorageEngine } from '../../src/storage/storage-engine.js';
import { eventually } from '../support/eventually.js';
import { FakeTime } from '../support/fake-time.js';
import { removeFolder, temporaryFolder } from '../support/temporary-folder.js';

/** What the suite needs of an engine beside the contract. */
export interface EngineFactory {
  /** Creates an engine, not open yet. If its store is in a folder, it is in `folder`, which may have been used before. */
  make(clock: Clock, folder: string): StorageEngine;
  /** Makes `folder` a store from the backup `file`. */
  restore?(file: string, folder: string): Promise<void>;
  /** Makes the clock of the store's servers follow `time`, if it is theirs that counts. */
  follow?(time: FakeTime): void;
  /** Empties a store that is not in a folder. */
  clean?(): Promise<void>;
  /** Returns well-formed positions that the engine has never returned: of the future, of other databases. */
  forgedPositions(position: string): string[];
  /** Returns how many entries the store holds, with those that have expired and are not swept yet. */
  storedEntries(engine: StorageEngine): Awaitable<number>;
  /** Most bytes of a key; MAX_STORED_KEY_BYTES if not given. */
  readonly longestKey?: number;
  /** How long to wait for what the engine does in the background, milliseconds; HANG_MS if not given. */
  readonly hangMs?: number;
}

/** A rule of the contract. It is plain data, so that lying engines can be tested against it too. */
export interface Rule {
  readonly rule: string;
  /** Holds only for engines with this capability. */
  readonly needs?: keyof Capabilities;
  run(fixture: Fixture): Promise<void>;
}

/** An engine with a store and a time of its own. */
export class Fixture {
  readonly time = new FakeTime();
  readonly folder = temporaryFolder();
  engine: StorageEngine;
  private readonly others: StorageEngine[] = [];

  private constructor(private readonly factory: EngineFactory) {
    factory.follow?.(this.time);
    this.engine = this.make('store');
  }

  /** Tests `rule` on a new engine. */
  static async run(rule: Rule, factory: EngineFactory): Promise<void> {
    await factory.clean?.();
    const fixture = new Fixture(factory);
    try {
      await fixture.engine.open();
      await rule.run(fixture);
    } finally {
      for (const engine of [fixture.engine, ...fixture.others]) await engine.close();
      removeFolder(fixture.folder);
    }
  }

  /** Closes the engine and opens it again, as a restart of the server does. */
  async reopen(): Promise<void> {
    await this.engine.close();
    this.engine = this.make('store');
    await this.engine.open();
  }

  /** Opens a second engine on a backup. */
  async openBackup(file: string): Promise<StorageEngine> {
    const folder = join(this.folder, 'restored');
    mkdirSync(folder);
    await this.factory.restore!(file, folder);
    const engine = this.make('restored');
    this.others.push(engine);
    await engine.open();
    return engine;
  }

  forgedPositions(position: string): string[] {
    return this.factory.forgedPositions(position);
  }

  /** Most bytes of a key. */
  get longestKey(): number {
    return this.factory.longestKey ?? MAX_STORED_KEY_BYTES;
  }

  storedEntries(): Awaitable<number> {
    return this.factory.storedEntries(this.engine);
  }

  /** Waits for what the engine does in the background, by real time. @throws Error when it does not */
  eventually(holds: () => Awaitable<boolean>): Promise<void> {
    return eventually(async () => holds(), 'what the engine does in the background', this.factory.hangMs);
  }

  private make(name: string): StorageEngine {
    return this.factory.make(this.time.clock(), join(this.folder, name));
  }
}
