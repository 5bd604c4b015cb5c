import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { ErrorCode } from '../errors.js';
import { documentHandlers } from '../http/answer/documented.js';
import { ERRORS_EXTENSION } from '../http/answer/operation.openapi.js';
import { writesOnGet } from '../http/request/safe.js';
import { VERSION } from '../version.js';
import { hoistSchemas } from './components.js';
import { addErrors, addOnceHeaders, errorsOf } from './error-responses.js';
import { METHODS_TAG } from './explorer-page.js';
import { optionsOf, refusedHead, withoutBody } from './methods.js';
import { addTwins } from './twins.js';

type PathItem = OpenAPIObject['paths'][string];
type Operation = NonNullable<PathItem['get']>;

const INTRODUCTION = `
A small, durable key-value database over plain HTTP. Keys are 1 to 1024 bytes of UTF-8; values are any bytes, with
their type. Every write that is answered with 2xx survives \`kill -9\` and power loss.

The examples run as they stand: they write only keys that begin with \`example/\`, and \`somekey\`. A method that a
path does not have is 405 with \`Allow\`, and a URL that is not here is 404. Errors of \`/kv\`, \`/batch\` and \`/tokens\` are
problem details (RFC 9457), all others have exactly \`title\` and \`detail\`.

As soon as there is a token every request for data needs one, in \`Authorization: Bearer …\` or as the password of Basic. What
is shown is then the namespace of the token, as a database of its own.`;

/** A server without tokens needs none. */
const SECURITY = [{}, { token: [] }, { basic: [] }];

const METHODS = ['get', 'put', 'post', 'patch', 'delete', 'head', 'options'] as const;

/** The groups of routes, in the order of the document. */
const TAGS: Record<string, string> = {
  'The original routes': 'The whole database, and text under a key, by nothing but GET.',
  'One entry': 'A key and its value: any bytes, with a type, a tag for conditions, and a time to live.',
  'Many entries': 'Pages, counts, exports, imports and deletions of all keys that begin alike.',
  Batches: 'Many operations in one request, all or nothing.',
  Tokens: 'Who may do what: each token has a part of the database as its own.',
  Backup: 'A copy of everything, made while the server runs.',
  Health: 'Whether the server is alive and ready, for load balancers and supervisors.',
  Problems: 'The closed table of everything that can go wrong.',
  [METHODS_TAG]: 'What GET answers, without its body; and the methods that each path has.',
};

/** Makes the OpenAPI document of an application, as JSON text. */
export async function makeDocument(app: INestApplication): Promise<string> {
  await documentHandlers();
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Pigeonhole')
    .setVersion(VERSION)
    .setDescription(INTRODUCTION.trim())
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .addServer('/')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'A token.' }, 'token')
    .addBasicAuth(
      { type: 'http', scheme: 'basic', description: 'A token as the password, any user name.' },
      'basic',
    );
  for (const [name, description] of Object.entries(TAGS)) config.addTag(name, description);
  const document = SwaggerModule.createDocument(app, config.build(), {
    autoTagControllers: false,
  });
  for (const [path, item] of Object.entries(document.paths)) completeMethods(path, item);
  addTwins(document.paths);
  const completed = Object.entries(document.paths).map(([path, item]) => [path, withErrors(path, item)]);
  const schemas = {};
  const paths = hoistSchemas(Object.fromEntries(completed), schemas);
  const { securitySchemes } = document.components!;
  return JSON.stringify({ ...document, security: SECURITY, paths, components: { schemas, securitySchemes } });
}

/** Adds HEAD beside GET, which it answers like; where GET writes it is refused. */
function completeMethods(path: string, item: PathItem): void {
  for (const method of METHODS) if (item[method]) dropUndescribed(item[method].responses);
  if (item.get) item.head ??= writesOnGet(path) ? refusedHead(item.get) : withoutBody(item.get);
}

/** Returns the path with OPTIONS, with the errors of its operations, and with its methods in order. */
function withErrors(path: string, item: PathItem): PathItem {
  const [first] = METHODS.flatMap((method) => item[method] ?? []);
  const errors = errorsOf(first!).filter((code) => isBeforeTheMethod(code, path));
  const options = { ...optionsOf(first!, item.patch !== undefined), [ERRORS_EXTENSION]: errors };
  const operations: PathItem = { ...item, options };
  for (const method of METHODS) {
    const operation = operations[method];
    if (!operation) continue;
    addErrors(method, path, operation);
    addOnceHeaders(operation);
  }
  return Object.fromEntries(
    METHODS.flatMap((method) => (operations[method] ? [[method, operations[method]]] : [])),
  );
}

/** Whether a request is refused with `code` before anybody looks at its method. */
function isBeforeTheMethod(code: ErrorCode, path: string): boolean {
  return code === 'service-worker' || (code === 'cross-site' && writesOnGet(path));
}

/** The compiler plugin gives every handler a success of its own; the real ones say what they are. */
function dropUndescribed(responses: Operation['responses']): void {
  for (const [status, response] of Object.entries(responses)) {
    if (response && 'description' in response && response.description === '') delete responses[status];
  }
}
