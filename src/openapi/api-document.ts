import { readFileSync } from 'node:fs';
import { Injectable, type INestApplication } from '@nestjs/common';
import type { OpenAPIObject } from '@nestjs/swagger';
import { ERRORS, type ErrorCode } from '../errors.js';
import { STATUS_OF } from '../http/status-of.js';

type PathItem = OpenAPIObject['paths'][string];
type Operation = NonNullable<PathItem['get']>;

const INTRODUCTION = `
A small, durable key-value database over plain HTTP. Keys are text of 1 to 1024 bytes of UTF-8; values are text.
Every write that is answered with 2xx survives \`kill -9\` and power loss. Errors are JSON with \`title\` and \`detail\`.`;

/** Statuses that any route may answer, whatever it does. */
const ANYWHERE: Record<number, string> = {
  400: 'What was sent is not a well-formed request.',
  415: 'The request has a Content-Encoding; bodies are taken as they are.',
  421: 'The Host header names a host this server does not answer to.',
  431: 'URL and headers are larger than 64 KiB together, or more than 200 headers.',
  503: 'Too busy or shutting down. Nothing was applied; try again.',
};

/** Builds the OpenAPI document when it is first asked for: a server that only serves keys never pays for it. */
@Injectable()
export class ApiDocument {
  private app: INestApplication | undefined;
  private text: Promise<string> | undefined;

  /** Tells which application to describe. */
  describe(app: INestApplication): void {
    this.app = app;
  }

  /** The document as JSON text. */
  json(): Promise<string> {
    this.text ??= this.build();
    return this.text;
  }

  private async build(): Promise<string> {
    const { DocumentBuilder, SwaggerModule } = await import('@nestjs/swagger');
    const config = new DocumentBuilder()
      .setTitle('Pigeonhole')
      .setVersion(version())
      .setDescription(INTRODUCTION.trim())
      .setLicense('MIT', 'https://opensource.org/license/mit')
      .addServer('/')
      .build();
    const document = SwaggerModule.createDocument(this.app!, config, {
      operationIdFactory: (_controller, method) => method,
    });
    document.components = {
      ...document.components,
      schemas: { ...document.components?.schemas, Error: ERROR_SCHEMA },
    };
    for (const [path, item] of Object.entries(document.paths)) complete(path, item);
    return JSON.stringify(document);
  }
}

const ERROR_SCHEMA = {
  type: 'object',
  description: 'What went wrong.',
  required: ['title', 'detail'],
  additionalProperties: false,
  properties: {
    title: { type: 'string', description: 'The kind of error, a few words.' },
    detail: { type: 'string', description: 'What to do about it, one sentence.' },
  },
};

/** `/set` writes on GET, so it does not answer HEAD. */
const WITHOUT_HEAD = new Set(['/set']);
const METHODS = ['get', 'head', 'put', 'post', 'patch', 'delete'] as const;

/** Adds what every route has: the statuses of the guards, the shape of errors, HEAD beside GET, and OPTIONS. */
function complete(path: string, item: PathItem): void {
  const operations = METHODS.map((method) => item[method]).filter((operation) => operation !== undefined);
  for (const { responses } of operations) {
    for (const [status, description] of Object.entries(ANYWHERE)) responses[status] ??= { description };
    for (const [status, response] of Object.entries(responses)) {
      if (Number(status) >= 400 && response && 'description' in response)
        response.content ??= errorContent(Number(status));
    }
  }
  if (item.get && !WITHOUT_HEAD.has(path)) item.head ??= withoutBodies(item.get);
  item.options = {
    operationId: `${operations[0]!.operationId}Options`,
    summary: 'The methods this path answers',
    tags: operations[0]!.tags,
    responses: { 204: { description: 'No content; the header Allow lists the methods.' } },
  };
}

function errorContent(status: number) {
  const [code] = Object.entries(STATUS_OF).find(([, its]) => its === status) ?? ['internal'];
  return {
    'application/json': {
      schema: { $ref: '#/components/schemas/Error' },
      example: { title: ERRORS[code as ErrorCode][0], detail: 'What went wrong, in one sentence.' },
    },
  };
}

function withoutBodies(get: Operation): Operation {
  const responses = Object.fromEntries(
    Object.entries(get.responses).map(([status, response]) => [
      status,
      { description: (response as { description: string }).description },
    ]),
  );
  return {
    ...get,
    operationId: `${get.operationId}Head`,
    summary: `${get.summary} (headers only)`,
    responses,
  };
}

function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}
