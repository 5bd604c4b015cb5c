import { client } from './client/client.gen.js';
import * as api from './client/index.js';

/* Calls every operation with the client that @hey-api/openapi-ts makes. */

const [, , baseUrl, token] = process.argv;
client.setConfig({ baseUrl: baseUrl!, headers: { Authorization: `Bearer ${token}` } });

const key = 'example/a b/č';
const path = { key };
const issued = { id: '' };
const lines = '{"key":"example/1","value":"one"}\n{"key":"example/2","value":"two"}\n';

const calls: Record<string, () => Promise<{ response?: Response; data?: unknown }>> = {
  setPair: () => api.setPair({ query: { pair: { 'some key': 'a&b' } } }),
  headPair: () => api.headPair(),
  optionsPair: () => api.optionsPair(),
  getKey: () => api.getKey({ query: { key: 'some key' } }),
  headKey: () => api.headKey({ query: { key: 'some key' } }),
  optionsKey: () => api.optionsKey(),
  getAll: () => api.getAll(),
  headAll: () => api.headAll(),
  optionsAll: () => api.optionsAll(),
  putEntry: () => api.putEntry({ path, query: { ttl: '1h' }, body: { name: 'Ada' } }),
  getEntry: () => api.getEntry({ path }),
  headEntry: () => api.headEntry({ path }),
  patchEntry: () => api.patchEntry({ path, body: { city: 'London' } }),
  optionsEntry: () => api.optionsEntry({ path }),
  deleteEntry: () => api.deleteEntry({ path, headers: { 'If-Match': '*' } }),
  putEntryByQuery: () =>
    api.putEntryByQuery({
      query: { key: '..' },
      headers: { 'Content-Type': 'text/plain' },
      body: 'any text',
      bodySerializer: null,
    }),
  restoreEntries: () =>
    api.restoreEntries({ query: { prefix: 'example/', at: '2099-01-31T12:00:00Z', 'dry-run': true } }),
  importEntries: () => api.importEntries({ body: new Blob([lines]) }),
  listEntries: async () => {
    const { data, response } = await api.listEntries({
      query: { prefix: 'example/', limit: 2, values: true },
    });
    const items = typeof data === 'object' && data !== null && 'items' in data ? data.items : [];
    return { response, data: items.map((item) => `${item.key}=${item.value}`) };
  },
  countEntries: () => api.countEntries({ query: { prefix: 'example/' } }),
  optionsEntries: () => api.optionsEntries(),
  batch: async () => {
    const { data, response } = await api.batch({
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
  optionsBatch: () => api.optionsBatch(),
  deleteEntries: () => api.deleteEntries({ query: { prefix: 'example/' } }),
  createToken: async () => {
    const { data, response } = await api.createToken({ body: { can: ['read'], namespace: 'example/' } });
    issued.id = data!.id;
    return { response, data: data!.namespace };
  },
  listTokens: () => api.listTokens(),
  headTokens: () => api.headTokens(),
  optionsTokens: () => api.optionsTokens(),
  describeSelf: async () => {
    const { data, response } = await api.describeSelf();
    return { response, data: data!.can };
  },
  headSelf: () => api.headSelf(),
  optionsSelf: () => api.optionsSelf(),
  getToken: () => api.getToken({ path: issued }),
  headToken: () => api.headToken({ path: issued }),
  optionsToken: () => api.optionsToken({ path: issued }),
  rotateTokenSecret: () => api.rotateTokenSecret({ path: issued, body: { grace: '1m' } }),
  optionsTokenSecret: () => api.optionsTokenSecret({ path: issued }),
  deleteToken: () => api.deleteToken({ path: issued }),
  getLiveness: async () => {
    const { data, response } = await api.getLiveness();
    return { response, data: data!.status };
  },
  headLiveness: () => api.headLiveness(),
  optionsLiveness: () => api.optionsLiveness(),
  getReadiness: async () => {
    const { data, response } = await api.getReadiness();
    return { response, data: data!.details!['database']!.status };
  },
  headReadiness: () => api.headReadiness(),
  optionsReadiness: () => api.optionsReadiness(),
  getMetrics: async () => {
    const { data, response } = await api.getMetrics();
    return { response, data: data!.includes('pigeonhole_entries 2') };
  },
  headMetrics: () => api.headMetrics(),
  optionsMetrics: () => api.optionsMetrics(),
  getStats: async () => {
    const { data, response } = await api.getStats();
    return { response, data: data!.store!.entries };
  },
  headStats: () => api.headStats(),
  optionsStats: () => api.optionsStats(),
  getBackup: async () => {
    const { data, response } = await api.getBackup();
    return { response, data: data!.size > 0 };
  },
  headBackup: () => api.headBackup(),
  optionsBackup: () => api.optionsBackup(),
  listProblems: () => api.listProblems(),
  headProblems: () => api.headProblems(),
  optionsProblems: () => api.optionsProblems(),
  explainProblem: () => api.explainProblem({ path: { code: 'missing-key' } }),
  headProblem: () => api.headProblem({ path: { code: 'missing-key' } }),
  optionsProblem: () => api.optionsProblem({ path: { code: 'missing-key' } }),
};

const said: Record<string, unknown> = {};
for (const [id, call] of Object.entries(calls)) {
  const { response, data } = await call();
  said[id] = [response?.status, data];
}
console.log(JSON.stringify(said));
