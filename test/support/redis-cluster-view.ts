/** What one node knows about another: a line of CLUSTER NODES (https://redis.io/docs/latest/commands/cluster-nodes/). */
export interface NodeView {
  readonly id: string;
  /** Whether it has neither failed, nor is suspected, nor unknown. */
  readonly connected: boolean;
  /** The id of the primary that this one replicates, or `-`. */
  readonly primary: string;
  /** Ranges with both ends; slots that are being moved are left out. */
  readonly slots: readonly (readonly [first: number, last: number])[];
}

export function parseNodes(text: string): NodeView[] {
  return text.split('\n').map((line) => {
    const [id = '', , flags = '', primary = '', , , , link = '', ...slots] = line.split(' ');
    const ranges = slots.filter((slot) => !slot.startsWith('[')).map((range) => range.split('-').map(Number));
    return {
      id,
      connected: link === 'connected' && !/\bfail|handshake|noaddr/.test(flags),
      primary,
      slots: ranges.map(([first = 0, last = first]) => [first, last] as const),
    };
  });
}

/** How the nodes `ids`, whose `views` are given in the same order, disagree; undefined if they agree. */
export function disagreement(ids: readonly string[], views: readonly NodeView[][]): string | undefined {
  const seen = views.map((view) =>
    JSON.stringify(ids.map((id) => view.find((each) => each.id === id && each.connected))),
  );
  if (seen.some((view) => view !== seen[0])) return `the nodes disagree: ${seen.join('\n')}`;
  if (seen[0]?.includes('null')) return `a node is not known: ${seen[0]}`;
  const strange = views[0]?.find(({ id, slots }) => slots.length > 0 && !ids.includes(id));
  return strange && `${strange.id} serves slots and does not reply`;
}
