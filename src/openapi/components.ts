/** Members that hold data, not parts of the document. */
const DATA = new Set(['example', 'examples', 'enum', 'default']);

/**
 * Makes a component of every schema with a title: features write the shapes they share as plain objects, and the
 * document names each once.
 */
export function hoistSchemas(node: unknown, schemas: Record<string, unknown>): unknown {
  if (Array.isArray(node)) return node.map((item) => hoistSchemas(item, schemas));
  if (typeof node !== 'object' || node === null) return node;
  const { title, ...rest } = node as Record<string, unknown>;
  const named = typeof title === 'string';
  if (named && title in schemas) return { $ref: `#/components/schemas/${title}` };
  const copy = Object.fromEntries(
    Object.entries(named ? rest : node).map(([name, value]) => [
      name,
      DATA.has(name) ? value : hoistSchemas(value, schemas),
    ]),
  );
  if (!named) return copy;
  schemas[title] = copy;
  return { $ref: `#/components/schemas/${title}` };
}
