import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http, { IncomingMessage, ServerResponse, type Server } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Express, Request, Response } from 'express';
import { createHttp } from '../../../src/app.setup.js';
import { loadConfig } from '../../../src/config/app-config.js';
import { requireProgram } from '../../support/requires.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

interface Call {
  readonly target: object;
  /** Whether the object had the prototype already: then the call costs nothing and changes nothing. */
  readonly inPlace: boolean;
}

interface Probe {
  readonly status: number;
  readonly type: string | undefined;
  readonly body: Record<string, unknown>;
}

type HttpsOptions = { key: Buffer; cert: Buffer } | undefined;

let calls: Call[];
let server: Server;
let app: Express;

async function start(httpsOptions: HttpsOptions): Promise<void> {
  const { adapter } = createHttp(loadConfig({}));
  adapter.initHttpServer({ httpsOptions });
  app = adapter.getInstance<Express>();
  app.get('/probe/:name', answerProbe);
  server = adapter.getHttpServer() as Server;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}

/** What Express gives to requests and responses has to be there, on the objects that Node made. */
function answerProbe(request: Request, response: Response): void {
  response
    .status(201)
    .type('json')
    .set('X-Probe', request.get('x-probe') ?? 'none')
    .json({
      app: request.app === app && response.app === app,
      both: request.res === response && response.req === request,
      name: request.params['name'],
      path: request.path,
      secure: request.secure,
      accepts: request.accepts('json'),
      host: request.hostname,
      ofNode: request instanceof IncomingMessage && response instanceof ServerResponse,
    });
}

function spyOnPrototypes(): void {
  calls = [];
  const original = Object.setPrototypeOf;
  jest.spyOn(Object, 'setPrototypeOf').mockImplementation((target: object, prototype: object | null) => {
    if (target instanceof IncomingMessage || target instanceof ServerResponse) {
      calls.push({ target, inPlace: Object.getPrototypeOf(target) === prototype });
    }
    return original(target, prototype);
  });
}

function probe(path: string, secure: boolean): Promise<Probe> {
  const { port } = server.address() as AddressInfo;
  const options = { host: '127.0.0.1', port, path, agent: false, rejectUnauthorized: false } as const;
  return new Promise((resolve, reject) => {
    const take = (response: IncomingMessage) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        const body = JSON.parse(text) as Record<string, unknown>;
        resolve({ status: response.statusCode!, type: response.headers['content-type'], body });
      });
    };
    (secure ? https.get(options, take) : http.get(options, take)).on('error', reject);
  });
}

function suite(secure: boolean, httpsOptions: () => HttpsOptions): void {
  beforeEach(async () => {
    await start(httpsOptions());
    spyOnPrototypes();
  });
  afterEach(() => {
    jest.restoreAllMocks();
    server.closeAllConnections();
    server.close();
  });

  test('Express finds the prototypes of requests and responses in place', async () => {
    for (let i = 0; i < 3; i++) await probe('/probe/a', secure);
    const ofKind = (kind: typeof IncomingMessage | typeof ServerResponse) =>
      calls.filter(({ target }) => target instanceof kind);
    // If Express ever stops calling it, this says so: then the adapter can go.
    expect(ofKind(IncomingMessage).length).toBe(3);
    expect(ofKind(ServerResponse).length).toBe(3);
    expect(calls.filter(({ inPlace }) => !inPlace)).toEqual([]);
  });

  test('all of Express works on them', async () => {
    expect(await probe('/probe/n%20m?x=1', secure)).toEqual({
      status: 201,
      type: 'application/json; charset=utf-8',
      body: {
        app: true,
        both: true,
        name: 'n m',
        path: '/probe/n%20m',
        secure,
        accepts: 'json',
        host: '127.0.0.1',
        ofNode: true,
      },
    });
  });
}

describe('the adapter on http', () => {
  suite(false, () => undefined);

  test('the spy sees it when a prototype is set', async () => {
    app.request = Object.create(app.request) as typeof app.request;
    await probe('/probe/a', false);
    expect(calls.filter(({ inPlace }) => !inPlace).length).toBe(1);
  });
});

const openssl = requireProgram('openssl');
openssl.describe('the adapter on https', () => {
  let pair: { key: Buffer; cert: Buffer };
  beforeAll(() => {
    const folder = temporaryFolder();
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    execFileSync(openssl.path, [...request, '-subj', '/CN=localhost', '-keyout', key, '-out', cert], {
      stdio: 'ignore',
    });
    pair = { key: readFileSync(key), cert: readFileSync(cert) };
  });
  suite(true, () => pair);
});
