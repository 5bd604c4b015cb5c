import type { OpenAPIObject } from '@nestjs/swagger';
import { ERRORS_EXTENSION } from '../http/answer/operation.openapi.js';
import { errorsOf, type Listed } from './error-responses.js';
import { METHODS_TAG } from './explorer-page.js';

/* HEAD and OPTIONS, which follow from the other operations of a path. */

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;

/** Parameters that mean nothing to HEAD. */
const OF_BODIES = ['Range', 'If-Range', 'Prefer', 'since', 'Last-Event-ID'];

/** Returns the HEAD that answers what `get` does, without its body; ranges are of bodies. */
export function withoutBody(get: Operation): Operation & Listed {
  const responses = Object.entries(get.responses)
    .filter(([status]) => status !== '206')
    .map(([status, response]) => {
      const { content: _, ...rest } = response as { content?: unknown };
      return [status, rest];
    });
  return {
    ...get,
    operationId: idOf('head', get),
    summary: `${get.summary} (headers only)`,
    tags: [METHODS_TAG],
    parameters: get.parameters?.filter(
      (parameter) => !('name' in parameter && OF_BODIES.includes(parameter.name)),
    ),
    responses: Object.fromEntries(responses) as Operation['responses'],
    [ERRORS_EXTENSION]: errorsOf(get).filter((code) => code !== 'range-not-satisfiable'),
  };
}

/** Returns the HEAD of a path whose GET writes: a method that asks for headers must not. */
export function refusedHead(get: Operation): Operation & Listed {
  return {
    operationId: idOf('head', get),
    summary: 'Is refused, because it would write',
    tags: [METHODS_TAG],
    responses: {},
    [ERRORS_EXTENSION]: [...errorsOf(get).filter((code) => code === 'cross-site'), 'method-not-allowed'],
  };
}

/** Returns the OPTIONS of the path of `operation`. @param patch whether the path has PATCH */
export function optionsOf(operation: Operation, patch: boolean): Operation {
  const text = { required: true, schema: { type: 'string' } };
  return {
    operationId: idOf('options', operation),
    summary: 'Lists the methods of the path',
    tags: [METHODS_TAG],
    parameters: operation.parameters?.filter((parameter) => 'in' in parameter && parameter.in === 'path'),
    responses: {
      204: {
        description: 'The header Allow has them.',
        headers: {
          Allow: { description: 'The methods.', ...text },
          ...(patch && {
            'Accept-Patch': { description: 'What PATCH takes, for one entry.', ...text, required: false },
          }),
        },
      },
    },
  };
}

/** The name of an operation on what another one is about: `headEntry` after `getEntry`, `optionsBatch` after `batch`. */
function idOf(verb: string, { operationId }: Operation): string {
  const [, noun] = /^[a-z]+([A-Z].*)$/.exec(operationId!) ?? [];
  return verb + (noun ?? operationId![0]!.toUpperCase() + operationId!.slice(1));
}
