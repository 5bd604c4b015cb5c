/** Decorators that wait until the document is asked for: their library costs a fifth of the start and of the memory. */
const waiting: (() => Promise<void>)[] = [];

/** Documents a handler with the decorator that function `name` of a module makes. The module is loaded with the document. */
export function Documented<Name extends string>(
  load: () => Promise<Record<Name, () => MethodDecorator>>,
  name: Name,
): MethodDecorator {
  return (target, key, descriptor) => {
    waiting.push(async () => void (await load())[name]()(target, key, descriptor));
  };
}

/** Leaves a handler out of the document. */
export function Undocumented(): MethodDecorator {
  return Documented(() => import('@nestjs/swagger'), 'ApiExcludeEndpoint');
}

/** Documents every handler. A second call does nothing. */
export async function documentHandlers(): Promise<void> {
  for (const document of waiting.splice(0)) await document();
}
