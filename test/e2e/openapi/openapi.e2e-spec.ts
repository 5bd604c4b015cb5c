import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ask, type Answer, type Question } from '../../support/http.js';
import { startServer, type ServerProcess } from '../../support/server.js';

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly schema: { readonly type: string; readonly example?: unknown };
}

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters?: readonly Parameter[];
  readonly responses: Record<string, { content?: Record<string, { schema: object; example?: object }> }>;
}

interface Document {
  readonly openapi: string;
  readonly servers: readonly { url: string }[];
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, object> };
}

const ORIGINAL = ['/', '/get', '/set'];

let server: ServerProcess;
let document: Document;
beforeAll(async () => {
  server = await startServer({ DATABASE_URL: 'memory:' });
  document = JSON.parse((await ask(server.port, '/openapi.json')).text) as Document;
});
afterAll(() => server.end());

/** The request that the examples of an operation make. */
function exampleOf(path: string, operation: Operation): string {
  const query = (operation.parameters ?? [])
    .filter((parameter) => parameter.in === 'query')
    .map(({ name, schema: { type, example } }) =>
      // An object that is exploded: its members are the query, whatever the parameter's name.
      type === 'object'
        ? String(new URLSearchParams(example as Record<string, string>))
        : `${name}=${String(example)}`,
    );
  return query.length > 0 ? `${path}?${query.join('&')}` : path;
}

describe('the document', () => {
  test('is OpenAPI 3 whose server is where it came from', () => {
    expect(document.openapi).toMatch(/^3\./);
    expect(document.servers).toEqual([{ url: '/' }]);
  });

  test.each(ORIGINAL)('has for %s the methods that Allow lists, and no others that succeed', async (path) => {
    const { headers } = await ask(server.port, path, { method: 'OPTIONS' });
    const succeeding = Object.entries(document.paths[path]!)
      .filter(([, { responses }]) => Object.keys(responses).some((status) => status.startsWith('2')))
      .map(([method]) => method);
    expect(succeeding.sort()).toEqual(headers.allow!.toLowerCase().split(', ').sort());
  });

  test('gives each operation a name of its own that begins with a verb, and a summary', () => {
    const operations = Object.values(document.paths).flatMap((item) => Object.entries(item));
    const names = operations.map(([, { operationId }]) => operationId);
    expect(new Set(names).size).toBe(names.length);
    for (const [method, { operationId, summary }] of operations) {
      expect(operationId).toMatch(/^[a-z]+([A-Z][a-z]+)*$/);
      if (method === 'options') expect(operationId).toMatch(/^options[A-Z]/);
      if (method === 'head') expect(operationId).toMatch(/^(head|count)[A-Z]/);
      expect(summary).toMatch(/./);
    }
  });

  test('says that HEAD of /set is refused, as it is', async () => {
    const { status, headers } = await ask(server.port, '/set?a=1', { method: 'HEAD' });
    expect({ status, allow: headers.allow }).toEqual({ status: 405, allow: 'GET, OPTIONS' });
    expect(document.paths['/set']!['head']!.responses).toHaveProperty('405');
  });

  test('refers to nothing that is not in it', () => {
    const references = JSON.stringify(document).match(/"\$ref":"[^"]+"/g) ?? [];
    for (const reference of references) {
      const name = /#\/components\/schemas\/([^"]+)/.exec(reference)?.[1];
      expect(Object.keys(document.components.schemas)).toContain(name);
    }
  });
});

describe('the examples of the original routes', () => {
  test('run, and answer as documented', async () => {
    const set = exampleOf('/set', document.paths['/set']!['get']!);
    const get = exampleOf('/get', document.paths['/get']!['get']!);
    const steps: [string, string, number][] = [
      [set, '/set', 201],
      [set, '/set', 200],
      [get, '/get', 200],
    ];
    for (const [request, path, status] of steps) {
      const answer = await ask(server.port, request);
      expect(answer.status).toBe(status);
      const documented =
        document.paths[path]!['get']!.responses[status]!.content!['application/json']!.example;
      expect(JSON.parse(answer.text)).toEqual(documented);
    }
  });

  const REQUESTS: [string, string, Question][] = [
    ['/', '/', {}],
    ['/', '/', { method: 'HEAD' }],
    ['/', '/', { method: 'OPTIONS' }],
    ['/get', '/get?key=somekey', {}],
    ['/get', '/get?key=somekey', { method: 'HEAD' }],
    ['/get', '/get?key=absent', {}],
    ['/get', '/get?key=absent', { method: 'HEAD' }],
    ['/get', '/get', {}],
    ['/get', '/get?key=%FF', {}],
    ['/get', `/get?key=${'k'.repeat(2000)}`, {}],
    ['/get', '/get', { method: 'OPTIONS' }],
    ['/set', '/set?somekey=somevalue', {}],
    ['/set', '/set?new=1', {}],
    ['/set', '/set?a', {}],
    ['/set', '/set', { method: 'OPTIONS' }],
    ['/set', '/set?a=1', { headers: { 'Sec-Fetch-Site': 'cross-site' } }],
    ['/set', '/set?a=1', { headers: { Host: 'evil.example' } }],
    ['/get', '/get?key=a', { headers: { Host: 'evil.example' } }],
    ['/', '/', { headers: { 'Content-Encoding': 'gzip' } }],
    ['/get', `/get?key=${'k'.repeat(70_000)}`, {}],
  ];

  test.each(REQUESTS)('%s: the status of %.60s is documented', async (path, request, question) => {
    const answer = await ask(server.port, request, question);
    const operation = document.paths[path]![(question.method ?? 'GET').toLowerCase()]!;
    const described = operation.responses[answer.status];
    expect({ status: answer.status, described: described !== undefined }).toMatchObject({ described: true });
    if (answer.text !== '') expect(Object.keys(described!.content!)).toContain(typeOf(answer));
  });
});

describe('the explorer', () => {
  const nonceOf = (answer: Answer) => /'nonce-([^']+)'/.exec(policyOf(answer))?.[1];
  const policyOf = (answer: Answer) => String(answer.headers['content-security-policy']);

  test('runs only scripts with the nonce of this very answer', async () => {
    const [first, second] = [await ask(server.port, '/docs'), await ask(server.port, '/docs')];
    const scripts = policyOf(first)
      .split(';')
      .find((part) => part.trim().startsWith('script-src'))!;
    expect(scripts.trim()).toBe(`script-src 'nonce-${nonceOf(first)}'`);
    expect(policyOf(first)).toContain("default-src 'none'");
    expect(Buffer.from(nonceOf(first)!, 'base64').length).toBeGreaterThanOrEqual(16);
    expect(nonceOf(second)).not.toBe(nonceOf(first));
    expect(first.text.match(/<script/g)!.length).toBe(first.text.match(/<script nonce="/g)!.length);
    expect(first.headers['cache-control']).toBe('no-store');
  });

  test('takes everything from this server', async () => {
    const { text } = await ask(server.port, '/docs');
    const links = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link!);
    expect(links.filter((link) => !/^(docs\/|data:,|favicon\.ico$)/.test(link))).toEqual([]);
    for (const link of links.filter((each) => each.startsWith('docs/'))) {
      const answer = await ask(server.port, `/${link}`);
      expect(answer.status).toBe(200);
      expect(answer.text.length).toBeGreaterThan(10_000);
      expect(typeOf(answer)).toBe(link.endsWith('.js') ? 'text/javascript' : 'text/css');
      expect((await ask(server.port, `/${link}`, { method: 'HEAD' })).status).toBe(200);
    }
    expect((await ask(server.port, '/favicon.ico')).status).toBe(200);
  });

  test.each(['/docs/index.html', '/docs/swagger-ui.js', '/docs/../package.json', '/docs/swagger-ui.css/x'])(
    'serves no other file: %s',
    async (path) => {
      expect((await ask(server.port, path)).status).toBe(404);
    },
  );

  test.each(['/docs', '/openapi.json', '/docs/swagger-ui.css'])('%s is read only', async (path) => {
    const answer = await ask(server.port, path, { method: 'POST' });
    expect(answer).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD, OPTIONS' } });
  });
});

function typeOf(answer: Answer): string {
  return String(answer.headers['content-type']).split(';')[0]!;
}
