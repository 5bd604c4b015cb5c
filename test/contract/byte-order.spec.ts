import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { inByteOrder } from '../../src/kv/transfer/byte-order.js';

const alike = fc.uint8Array({ maxLength: 6, max: 2 });
const any = fc.uint8Array({ maxLength: 40 });

async function orderOf(pieces: readonly Uint8Array[]): Promise<number[]> {
  const ends = new Uint32Array(pieces.length);
  let length = 0;
  pieces.forEach((piece, i) => (ends[i] = length += piece.length));
  const starts = ends.map((end, i) => end - pieces[i]!.length);
  return [...(await inByteOrder({ memory: Buffer.concat(pieces), starts, ends }, pieces.length))];
}

test('pieces are sorted by their bytes, and equal ones keep their order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(alike, any), { maxLength: 300 }), async (pieces) => {
      const expected = pieces
        .map((_, i) => i)
        .toSorted((a, b) => Buffer.compare(pieces[a]!, pieces[b]!) || a - b);
      expect(await orderOf(pieces)).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});

test('thousands of long pieces that are equal, or begin with each other, are sorted too', async () => {
  const same = Array.from({ length: 2000 }, () => new Uint8Array(1024).fill(7));
  expect(await orderOf(same)).toEqual(same.map((_, i) => i));
  const growing = Array.from({ length: 1024 }, (_, i) => new Uint8Array(1024 - i).fill(7));
  expect(await orderOf(growing)).toEqual(growing.map((_, i) => 1023 - i));
});
