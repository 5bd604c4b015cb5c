import { expect, test } from '@jest/globals';
import { Authenticator } from '../../../src/auth/authenticator.js';
import { TokenStore } from '../../../src/auth/token-store.js';
import { Tokens } from '../../../src/auth/tokens.js';
import { loadConfig } from '../../../src/config/app-config.js';
import { MemoryEngine } from '../../../src/storage/memory.engine.js';

test('of a token that has ended nothing is left', async () => {
  const engine = new MemoryEngine();
  await engine.open();
  const authenticator = new Authenticator(engine, loadConfig({ ADMIN_TOKEN: 'of-these-tests-alone' }));
  const tokens = new Tokens(authenticator, engine);
  const request = {
    namespace: '',
    can: ['read'],
    ttl: undefined,
    note: '',
    requireConditions: false,
    limits: {},
  } as const;
  const { record } = await tokens.create(authenticator.open, request);
  const store = new TokenStore(engine.system);
  await store.markUsed(record.id, 60_000);
  expect(await store.uses()).toEqual(new Map([[record.id, 60_000]]));
  await tokens.revoke(authenticator.open, record.id);
  // A request that came before the end is noted after it.
  await store.markUsed(record.id, 120_000);
  expect(await store.uses()).toEqual(new Map());
  await engine.close();
});
