import type { OpenAPIObject } from '@nestjs/swagger';
import type { ErrorCode } from '../errors.js';
import { ERRORS_EXTENSION, TWIN_EXTENSION } from '../http/answer/operation.openapi.js';

type PathItem = OpenAPIObject['paths'][string];
type Operation = NonNullable<PathItem['get']>;
type Parameter = NonNullable<Operation['parameters']>[number];
type Response = Exclude<Operation['responses'][string], undefined>;
/** What is read of a document's operations beside what its type knows. */
type Extended = Operation & {
  [TWIN_EXTENSION]?: string;
  [ERRORS_EXTENSION]?: readonly ErrorCode[];
};

const METHODS = ['get', 'head', 'put', 'patch', 'delete'] as const;

/**
 * Adds the other spelling of every operation that has one: the same on another path, with the path parameter in the query.
 * Where that path has the method already, the two are one operation whose parameter is optional.
 */
export function addTwins(paths: Record<string, PathItem>): void {
  for (const item of Object.values(paths)) {
    for (const method of METHODS) {
      const operation = item[method] as Extended | undefined;
      const path = operation?.[TWIN_EXTENSION];
      if (!operation || path === undefined) continue;
      delete operation[TWIN_EXTENSION];
      const twin = inQuery(operation);
      const own = (paths[path] ??= {})[method] as Extended | undefined;
      paths[path][method] = own ? both(own, twin) : withoutRange(twin);
    }
  }
}

function inQuery(operation: Extended): Extended {
  return {
    ...operation,
    operationId: `${operation.operationId}ByQuery`,
    summary: `${operation.summary}, its key in the query`,
    parameters: operation.parameters!.map((parameter) =>
      'in' in parameter && parameter.in === 'path' ? { ...parameter, in: 'query' } : parameter,
    ),
    responses: { ...operation.responses },
  };
}

/** Without its key it is a method that the path does not have. */
function withoutRange(twin: Extended): Extended {
  return { ...twin, [ERRORS_EXTENSION]: [...twin[ERRORS_EXTENSION]!, 'method-not-allowed'] };
}

function both(own: Extended, twin: Extended): Extended {
  const known = new Set(own.parameters!.map((parameter) => 'name' in parameter && parameter.name));
  const added = twin.parameters!.filter((parameter) => 'name' in parameter && !known.has(parameter.name));
  const statuses = Object.keys({ ...own.responses, ...twin.responses });
  return {
    ...own,
    description: [own.description, 'With `key` it is one entry, as its own path answers it.']
      .join(' ')
      .trim(),
    parameters: [...own.parameters!, ...added.map(asOptional)],
    ...(twin.requestBody && { requestBody: own.requestBody ?? withoutExamples(twin.requestBody) }),
    responses: Object.fromEntries(
      statuses.map((status) => [status, either(own.responses[status], twin.responses[status])]),
    ),
    [ERRORS_EXTENSION]: [...new Set([...own[ERRORS_EXTENSION]!, ...twin[ERRORS_EXTENSION]!])],
  };
}

/** Without its example, which would make the example of the operation one of the twin. */
function asOptional(parameter: Parameter): Parameter {
  if ('$ref' in parameter) return parameter;
  return {
    ...parameter,
    required: false,
    schema: { ...parameter.schema, example: undefined } as typeof parameter.schema,
  };
}

/** As with parameters. */
function withoutExamples(body: NonNullable<Operation['requestBody']>): typeof body {
  if ('$ref' in body) return body;
  const content = Object.entries(body.content).map(([type, media]) => [
    type,
    { ...media, example: undefined },
  ]);
  return { ...body, required: false, content: Object.fromEntries(content) as typeof body.content };
}

function either(own: Response | undefined, twin: Response | undefined): Response {
  if (!own || !twin || '$ref' in own || '$ref' in twin) return (own ?? twin)!;
  const headers = Object.entries({ ...twin.headers, ...own.headers });
  return {
    description: [...new Set([own.description, `With \`key\`: ${twin.description}`])].join(' '),
    ...((own.content || twin.content) && {
      content: { ...own.content, ...asBytes(twin.content), ...own.content },
    }),
    headers: Object.fromEntries(headers.map(([name, header]) => [name, { ...header, required: false }])),
  };
}

/** What a type has on the path itself is its shape there. Beside answers of a known shape a value is bytes: if it were anything, clients would take every answer for anything. */
function asBytes(content: Exclude<Response, { $ref: string }>['content'] = {}) {
  const { '*/*': value, ...others } = content;
  return { ...others, ...(value && { '*/*': { ...value, schema: { type: 'string', format: 'binary' } } }) };
}
