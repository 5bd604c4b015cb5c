import { expect } from '@jest/globals';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { ask, type Answer, type Question } from './http.js';

interface Media {
  readonly schema?: object;
  readonly example?: unknown;
  readonly examples?: Record<string, { value: { title: string } }>;
}

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly schema: {
    readonly $ref?: string;
    readonly type?: string;
    readonly enum?: string[];
    readonly pattern?: string;
    readonly example?: string | Record<string, string>;
  };
}

interface Response {
  readonly content?: Record<string, Media>;
  readonly headers?: Record<string, { required?: boolean; schema: object }>;
}

export interface Operation {
  readonly path: string;
  readonly method: string;
  readonly operationId: string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { content: Record<string, Media> };
  readonly responses: Record<string, Response>;
}

/** An operation with what to send it. */
export interface Call extends Question {
  readonly operation: Operation;
  readonly url: string;
}

/** The document that a server gives of itself, as the rules that its answers are held to. */
export class Contract {
  readonly operations: readonly Operation[];
  private readonly ajv = new Ajv2020({ strict: false, allErrors: true });
  private readonly validators = new Map<string, ValidateFunction>();

  private constructor(
    private readonly port: number,
    /** What every request has. */
    private readonly headers: Record<string, string>,
    private readonly document: {
      paths: Record<string, Record<string, Operation>>;
      components: { schemas: Record<string, Parameter['schema']> };
    },
  ) {
    (addFormats as unknown as (ajv: Ajv2020) => void)(this.ajv);
    this.operations = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => ({
        ...operation,
        parameters: operation.parameters ?? [],
        path,
        method,
        // Instead of all of it where a failing call is shown.
        [fc.toStringMethod]: () => `${method} ${path}`,
      })),
    );
  }

  static async of(port: number, headers: Record<string, string> = {}): Promise<Contract> {
    const { text } = await ask(port, '/openapi.json');
    return new Contract(port, headers, JSON.parse(text) as Contract['document']);
  }

  /** A parameter's schema, wherever it is written. */
  schemaOf({ schema }: Parameter): Parameter['schema'] {
    return schema.$ref ? this.document.components.schemas[schema.$ref.split('/').at(-1)!]! : schema;
  }

  /** Sends the call and holds the answer to what is documented. */
  async check(call: Call): Promise<Answer> {
    const { operation, url, ...question } = call;
    const headers = { ...this.headers, ...question.headers };
    const answer = await ask(this.port, url, {
      ...question,
      headers,
      method: operation.method.toUpperCase(),
    });
    try {
      this.assertDocumented(operation, answer);
    } catch (error) {
      const sent = { ...question, body: question.body?.toString('latin1') };
      const about = JSON.stringify({ method: operation.method, url, sent, answer }, null, 1).slice(0, 3000);
      throw new Error(`${about}\n${(error as Error).message}`, { cause: error });
    }
    return answer;
  }

  private assertDocumented(operation: Operation, { status, headers, text }: Answer): void {
    expect(status).not.toBe(500);
    expect(Object.keys(operation.responses)).toContain(String(status));
    const response = operation.responses[status]!;
    for (const [name, { required, schema }] of Object.entries(response.headers ?? {})) {
      const value = headers[name.toLowerCase()];
      if (required) expect({ [name]: value }).toEqual({ [name]: expect.any(String) });
      if (value !== undefined) this.assertValid(`header ${name}`, schema, value);
    }
    if (text === '')
      return expect(
        operation.method === 'head' || !response.content || headers['content-length'] === '0',
      ).toBe(true);
    const essence = headers['content-type']!.split(';')[0]!;
    const type = response.content?.[essence] ? essence : '*/*';
    expect(Object.keys(response.content ?? {})).toContain(type);
    const media = response.content![type]!;
    if (!/^application\/(problem\+)?json$/.test(type)) return;
    const body = JSON.parse(text) as { title: string };
    this.assertValid(operation.operationId, media.schema!, body);
    if (status >= 400)
      expect(Object.values(media.examples!).map(({ value }) => value.title)).toContain(body.title);
  }

  private assertValid(what: string, schema: object, value: unknown): void {
    const key = JSON.stringify(schema);
    const validate =
      this.validators.get(key) ?? this.ajv.compile({ ...schema, components: this.document.components });
    this.validators.set(key, validate);
    if (!validate(value)) throw new Error(`${what}: ${this.ajv.errorsText(validate.errors)}`);
  }
}

/** What an explorer would send: the examples as they stand, once for each type of body and of answer. */
export function exampleCalls(operation: Operation): Call[] {
  const url = exampleUrl(operation);
  const bodies = Object.entries(operation.requestBody?.content ?? {}).filter(
    ([, { example }]) => example !== undefined,
  );
  if (bodies.length > 0) {
    // The first is what an explorer sends by itself; the others come before, so that it is what stays.
    return bodies.reverse().map(([type, { example }]) => ({
      operation,
      url,
      headers: { 'Content-Type': type },
      body: bodyOf(example),
    }));
  }
  const types = Object.keys(operation.responses['200']?.content ?? { '*/*': {} });
  return types
    .filter((type) => type !== 'text/event-stream')
    .map((Accept) => ({ operation, url, headers: { Accept } }));
}

export function bodyOf(example: unknown): string {
  return typeof example === 'string' ? example : JSON.stringify(example);
}

function exampleUrl({ path, parameters }: Operation): string {
  const search = new URLSearchParams();
  for (const { name, in: place, schema } of parameters) {
    const { example } = schema;
    if (place === 'path') path = path.replace(`{${name}}`, encodeURIComponent(example as string));
    else if (typeof example === 'object') for (const pair of Object.entries(example)) search.append(...pair);
    else if (example !== undefined) search.append(name, example);
  }
  return search.size > 0 ? `${path}?${search.toString()}` : path;
}
