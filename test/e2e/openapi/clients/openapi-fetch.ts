import createClient from 'openapi-fetch';
import type { paths } from './schema.js';

/* Calls every operation with openapi-fetch and the types of openapi-typescript. */

const [, , baseUrl, token] = process.argv;
const client = createClient<paths>({ baseUrl: baseUrl!, headers: { Authorization: `Bearer ${token}` } });
/** Without it openapi-fetch makes JSON of every body. */
const bodySerializer = (body: unknown) => body as string;

const key = 'example/a b/č';
const path = { key };
const issued = { id: '' };
const lines = '{"key":"example/1","value":"one"}\n{"key":"example/2","value":"two"}\n';

const calls: Record<string, () => Promise<{ response: Response; data?: unknown }>> = {
  setPair: () =>
    client.GET('/set', {
      params: { query: { pair: { 'some key': 'a&b' } } },
      querySerializer: { object: { style: 'form', explode: true } },
    }),
  headPair: () => client.HEAD('/set'),
  optionsPair: () => client.OPTIONS('/set'),
  getKey: () => client.GET('/get', { params: { query: { key: 'some key' } } }),
  headKey: () => client.HEAD('/get', { params: { query: { key: 'some key' } } }),
  optionsKey: () => client.OPTIONS('/get'),
  getAll: () => client.GET('/'),
  headAll: () => client.HEAD('/'),
  optionsAll: () => client.OPTIONS('/'),
  putEntry: () => client.PUT('/kv/{key}', { params: { path, query: { ttl: '1h' } }, body: { name: 'Ada' } }),
  getEntry: () => client.GET('/kv/{key}', { params: { path } }),
  headEntry: () => client.HEAD('/kv/{key}', { params: { path } }),
  patchEntry: () =>
    client.PATCH('/kv/{key}', {
      params: { path },
      headers: { 'Content-Type': 'application/merge-patch+json' },
      body: { city: 'London' },
    }),
  optionsEntry: () => client.OPTIONS('/kv/{key}', { params: { path } }),
  deleteEntry: () => client.DELETE('/kv/{key}', { params: { path, header: { 'If-Match': '*' } } }),
  putEntryByQuery: () =>
    client.PUT('/kv', {
      params: { query: { key: '..' } },
      headers: { 'Content-Type': 'text/plain' },
      body: 'any text',
      bodySerializer,
    }),
  restoreEntries: async () => {
    const query = { prefix: 'example/', at: '2099-01-31T12:00:00Z' };
    const { data, response } = await client.PATCH('/kv', { params: { query } });
    return { response, data: typeof data === 'object' && 'restored' in data ? data.restored : undefined };
  },
  importEntries: () =>
    client.POST('/kv', {
      headers: { 'Content-Type': 'application/x-ndjson' },
      body: lines,
      bodySerializer,
    }),
  listEntries: async () => {
    const { data, response } = await client.GET('/kv', {
      params: { query: { prefix: 'example/', limit: 2, values: true } },
    });
    const items = typeof data === 'object' ? data.items : [];
    return { response, data: items.map((item) => `${item.key}=${item.value}`) };
  },
  countEntries: () => client.HEAD('/kv', { params: { query: { prefix: 'example/' } } }),
  optionsEntries: () => client.OPTIONS('/kv'),
  batch: async () => {
    const { data, response } = await client.POST('/batch', {
      body: {
        ops: [
          { op: 'check', key: 'example/1', ifMatch: '*' },
          { op: 'put', key: 'example/3', value: { three: 3 }, ttl: 60 },
          { op: 'put', key: 'example/4', base64: 'AAEC', type: 'image/gif' },
          { op: 'get', key: 'example/3' },
          { op: 'incr', key: 'example/n' },
          { op: 'delete', key: 'example/4' },
        ],
      },
    });
    return { response, data: data?.results.map(({ status, value }) => value ?? status) };
  },
  optionsBatch: () => client.OPTIONS('/batch'),
  deleteEntries: () => client.DELETE('/kv', { params: { query: { prefix: 'example/' } } }),
  createToken: async () => {
    const { data, response } = await client.POST('/tokens', {
      body: { can: ['read'], namespace: 'example/' },
    });
    issued.id = data!.id;
    return { response, data: data!.namespace };
  },
  listTokens: () => client.GET('/tokens'),
  headTokens: () => client.HEAD('/tokens'),
  optionsTokens: () => client.OPTIONS('/tokens'),
  describeSelf: async () => {
    const { data, response } = await client.GET('/tokens/self');
    return { response, data: data!.can };
  },
  headSelf: () => client.HEAD('/tokens/self'),
  optionsSelf: () => client.OPTIONS('/tokens/self'),
  getToken: () => client.GET('/tokens/{id}', { params: { path: issued } }),
  headToken: () => client.HEAD('/tokens/{id}', { params: { path: issued } }),
  optionsToken: () => client.OPTIONS('/tokens/{id}', { params: { path: issued } }),
  rotateTokenSecret: () =>
    client.POST('/tokens/{id}/rotate', { params: { path: issued }, body: { grace: '1m' } }),
  optionsTokenSecret: () => client.OPTIONS('/tokens/{id}/rotate', { params: { path: issued } }),
  deleteToken: () => client.DELETE('/tokens/{id}', { params: { path: issued } }),
  getLiveness: async () => {
    const { data, response } = await client.GET('/health/live');
    return { response, data: data!.status };
  },
  headLiveness: () => client.HEAD('/health/live'),
  optionsLiveness: () => client.OPTIONS('/health/live'),
  getReadiness: async () => {
    const { data, response } = await client.GET('/health/ready');
    return { response, data: data!.details!['database']!.status };
  },
  headReadiness: () => client.HEAD('/health/ready'),
  optionsReadiness: () => client.OPTIONS('/health/ready'),
  getMetrics: async () => {
    const { data, response } = await client.GET('/metrics', { parseAs: 'text' });
    return { response, data: data!.includes('pigeonhole_entries 2') };
  },
  headMetrics: () => client.HEAD('/metrics'),
  optionsMetrics: () => client.OPTIONS('/metrics'),
  getStats: async () => {
    const { data, response } = await client.GET('/stats');
    return { response, data: data!.store!.entries };
  },
  headStats: () => client.HEAD('/stats'),
  optionsStats: () => client.OPTIONS('/stats'),
  getBackup: async () => {
    const { data, response } = await client.GET('/backup', { parseAs: 'blob' });
    return { response, data: data!.size > 0 };
  },
  headBackup: () => client.HEAD('/backup'),
  optionsBackup: () => client.OPTIONS('/backup'),
  listProblems: () => client.GET('/problems'),
  headProblems: () => client.HEAD('/problems'),
  optionsProblems: () => client.OPTIONS('/problems'),
  explainProblem: () => client.GET('/problems/{code}', { params: { path: { code: 'missing-key' } } }),
  headProblem: () => client.HEAD('/problems/{code}', { params: { path: { code: 'missing-key' } } }),
  optionsProblem: () => client.OPTIONS('/problems/{code}', { params: { path: { code: 'missing-key' } } }),
};

const said: Record<string, unknown> = {};
for (const [id, call] of Object.entries(calls)) {
  const { response, data } = await call();
  said[id] = [response.status, data];
}
console.log(JSON.stringify(said));
