import { MAX_KEY_BYTES } from '../../src/storage/entry.js';
import { JailEngine } from '../../src/storage/jail/jail.engine.js';
import type { StorageEngine } from '../../src/storage/storage-engine.js';
import type { SystemKeyspace } from '../../src/storage/system-keyspace.js';
import type { EngineFactory } from './rule.js';
import { put } from './shorthand.js';

/** As long as a namespace may be. */
export const NAMESPACE = `${'é'.repeat(127)}1/`;

/** Keys of others that come just before and after those of the namespace, or look like them. */
export const NEIGHBOURS: readonly string[] = neighboursOf(NAMESPACE);

export function neighboursOf(namespace: string): string[] {
  const name = namespace.slice(0, -1);
  const around = ['', '.', '.\u{10ffff}', '/', '0', '0/', '0/x', '10/x'].map((end) => name + end);
  return ['\0', 'a', '{t}a', `${name.slice(0, -1)}0/`, `${name.slice(0, -1)}2/`, ...around, '\u{10ffff}'];
}

/** A namespace of an engine that is opened and closed with it, and has neighbours in it. */
class JailedEngine extends JailEngine {
  override readonly system: SystemKeyspace;

  constructor(readonly around: StorageEngine) {
    super(around, { namespace: NAMESPACE });
    // Not of a namespace, but of the engine, as the fence is: so that the rules about them can be tried in one.
    const system = () => around.system;
    this.system = {
      get: (name) => system().get(name),
      put: (name, value) => system().put(name, value),
      replace: (name, expected, value) => system().replace(name, expected, value),
      delete: (name) => system().delete(name),
      list: (prefix) => system().list(prefix),
    };
  }

  override async open(): Promise<void> {
    await this.around.open();
    for (const key of NEIGHBOURS) if (!(await this.around.head(key))) await put(this.around, key, key);
  }

  override close(): Promise<void> {
    return this.around.close();
  }

  override setFence(place?: string): Promise<void> {
    return this.around.setFence(place);
  }
}

/** Returns the factory of a namespace in the engines of another. */
export function namespaceIn(factory: EngineFactory): EngineFactory {
  return {
    ...factory,
    make: (clock, folder) => new JailedEngine(factory.make(clock, folder)),
    storedEntries: async (engine) =>
      (await factory.storedEntries((engine as JailedEngine).around)) - NEIGHBOURS.length,
    longestKey: MAX_KEY_BYTES,
  };
}
