import type { Access } from './access.js';
import type { TokenRecord } from './token-record.js';

/** Returns a token as its maker sees it, without its secret: namespaces begin where the maker's own begins. */
export function describeToken(record: TokenRecord, by: Access, used: number | undefined): object {
  const { id, parents } = record;
  const [parent] = parents;
  // Who sees only what was made with the own token does not see what that was made with.
  const isParentVisible = by.isUnlimited || id !== by.id;
  return {
    id,
    ...describeRights(record, by.record.namespace),
    lastUsed: used === undefined ? null : timeOf(used),
    parent: (isParentVisible && parent) || null,
  };
}

/** Returns what a token is told about itself. A server that needs none says what everybody may, with `id` null. */
export function describeAccess({ id, record }: Access): object {
  return { id: id || null, ...describeRights(record, record.namespace) };
}

function describeRights(record: Omit<TokenRecord, 'id' | 'digest'>, root: string): object {
  const { namespace, can, note, created, expires, requireConditions, limits } = record;
  return {
    namespace: namespace.slice(root.length),
    can,
    note,
    created: created === 0 ? null : timeOf(created),
    expires: expires === 0 ? null : timeOf(expires),
    requireConditions,
    limits,
  };
}

function timeOf(time: number): string {
  return new Date(time).toISOString();
}
