/** A request as data, so that it can be printed and sent again. */
export interface Call {
  readonly method: string;
  /** The request target, which may have placeholders (`tagAt`, `positionAt`), as headers and the body may. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes, each a character. */
  readonly body?: string;
}

/** What is done to both of two servers before they are compared again. */
export type Step =
  /** A request and its answer. */
  | { readonly kind: 'call'; readonly call: Call }
  /** A watch that is read up to `ready`, and if there are `writes`, up to the event that has `last` in it. */
  | { readonly kind: 'watch'; readonly call: Call; readonly writes: readonly Call[]; readonly last: string }
  /** A request that is held until a write sets it free. */
  | { readonly kind: 'poll'; readonly call: Call; readonly write: Call };

/** Stands for the tag that was seen so many tags ago. */
export function tagAt(ago: number): string {
  return `<<tag:${ago}>>`;
}

/** Stands for the position in the change log that was seen so many positions ago. */
export function positionAt(ago: number): string {
  return `<<position:${ago}>>`;
}

/** Puts what a server has shown in the place of the placeholders. */
export function filled(text: string, tags: readonly string[], positions: readonly string[]): string {
  return text.replaceAll(/<<(tag|position):(\d+)>>/g, (_, kind: string, ago: string) => {
    const seen = kind === 'tag' ? tags : positions;
    return seen.at(-1 - Number(ago)) ?? 'none';
  });
}
