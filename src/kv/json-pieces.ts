import { createHash } from 'node:crypto';
import { giveWay } from '../event-loop.js';

/** Length of the JSON that is made before others have their turn. */
const PIECE_LENGTH = 256 * 1024;

/**
 * Gathers JSON text in pieces, because one text of megabytes takes several times its size when it is made and sent, and
 * holds up others meanwhile.
 * @param onPiece is told of each piece, and may end the work by throwing
 */
export async function gatherPieces(
  parts: Iterable<string>,
  onPiece: (piece: Buffer) => void = () => undefined,
): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  let text = '';
  const endPiece = () => {
    const piece = Buffer.from(text);
    pieces.push(piece);
    text = '';
    onPiece(piece);
  };
  for (const part of parts) {
    text += part;
    if (text.length < PIECE_LENGTH) continue;
    endPiece();
    await giveWay();
  }
  endPiece();
  return pieces;
}

/** JSON text in pieces, and its tag: the digest of the text, so that it is strong, and the same on every engine. */
export interface TaggedJson {
  readonly json: readonly Buffer[];
  readonly etag: string;
}

/** Gathers JSON text as `gatherPieces` does, and makes its tag. */
export async function taggedJson(
  parts: Iterable<string>,
  onPiece: (piece: Buffer) => void,
): Promise<TaggedJson> {
  const hash = createHash('sha256');
  const json = await gatherPieces(parts, (piece) => {
    hash.update(piece);
    onPiece(piece);
  });
  return { json, etag: hash.digest('base64url').slice(0, 22) };
}

/** Whether a condition names a tag. */
export function isListed(tags: '*' | readonly string[] | undefined, etag: string): boolean {
  return tags === '*' || tags?.includes(etag) === true;
}
