import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../src/storage/clock.js';
import type { Awaitable, Capabilities, StorageEngine } from '../../src/storage/storage-engine.js';
import { FakeTime } from '../support/fake-time.js';
import { makeTempFolder, removeFolder } from '../support/temp-folder.js';

/** How the suite makes an engine. Everything else it asks through the contract. */
export interface EngineFactory {
  /** An engine, not open yet, whose store is in the empty or earlier used `folder` if it has one. */
  make(clock: Clock, folder: string): StorageEngine;
  /** Makes `folder` the store that the backup `file` is a copy of. */
  restore?(file: string, folder: string): void;
  /** Empties what is not in a folder. */
  clean?(): Promise<void>;
  /** Positions as this engine writes them that it has never given out: of the future, of other databases. */
  forgedPositions(position: string): string[];
  /** How many entries the store holds, those too that have expired and wait to be swept. */
  storedEntries(engine: StorageEngine): Awaitable<number>;
}

/** A rule of the contract: plain data, so that lying engines can be held against it as well. */
export interface Rule {
  readonly rule: string;
  /** Only engines that declare this capability. */
  readonly needs?: keyof Capabilities;
  run(world: World): Promise<void>;
}

/** One engine with a store and a time of its own. */
export class World {
  readonly time = new FakeTime();
  readonly folder = makeTempFolder();
  engine: StorageEngine;
  private readonly others: StorageEngine[] = [];

  private constructor(private readonly factory: EngineFactory) {
    this.engine = this.make('store');
  }

  /** Runs `rule` on a fresh engine, and removes what it left. */
  static async judge(rule: Rule, factory: EngineFactory): Promise<void> {
    await factory.clean?.();
    const world = new World(factory);
    try {
      await world.engine.open();
      await rule.run(world);
    } finally {
      for (const engine of [world.engine, ...world.others]) await engine.close();
      removeFolder(world.folder);
    }
  }

  /** What a restart of the server does. */
  async reopen(): Promise<void> {
    await this.engine.close();
    this.engine = this.make('store');
    await this.engine.open();
  }

  /** A second engine on a backup. */
  async openBackup(file: string): Promise<StorageEngine> {
    const folder = join(this.folder, 'restored');
    mkdirSync(folder);
    this.factory.restore!(file, folder);
    const engine = this.make('restored');
    this.others.push(engine);
    await engine.open();
    return engine;
  }

  forgedPositions(position: string): string[] {
    return this.factory.forgedPositions(position);
  }

  storedEntries(): Awaitable<number> {
    return this.factory.storedEntries(this.engine);
  }

  private make(name: string): StorageEngine {
    return this.factory.make(this.time.clock(), join(this.folder, name));
  }
}
