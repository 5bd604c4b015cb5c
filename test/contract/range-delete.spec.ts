import { expect, test } from '@jest/globals';
import type { AppConfig } from '../../src/config/app-config.js';
import { DatabaseService } from '../../src/kv/database.service.js';
import { MemoryEngine } from '../../src/storage/memory.engine.js';
import { countOf, put } from './shorthand.js';

const ENTRIES = 5_000;

test('a range delete stops when who asked may not delete any more, and says how far it got', async () => {
  const engine = new MemoryEngine();
  const database = new DatabaseService(engine, {} as AppConfig);
  for (let i = 0; i < ENTRIES; i++) await put(engine, `k${i}`, 'x');
  let isCut = false;
  engine.onChange(() => (isCut = true));
  const deleted = await database.deleteRange({ prefix: 'k' }, () => isCut);
  expect(deleted).toBeGreaterThan(0);
  expect(deleted).toBeLessThan(ENTRIES);
  expect(await countOf(engine, { prefix: '' })).toBe(ENTRIES - deleted);
});
