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
