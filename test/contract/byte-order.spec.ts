import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { inByteOrder } from '../../src/kv/transfer/byte-order.js';

const alike = fc.uint8Array({ maxLength: 6, max: 2 });
const any = fc.uint8Array({ maxLength: 40 });

function orderOf(pieces: readonly Uint8Array[]): number[] {
  const ends = new Uint32Array(pieces.length);
  let length = 0;
  pieces.forEach((piece, i) => (ends[i] = length += piece.length));
  const starts = ends.map((end, i) => end - pieces[i]!.length);
  return [...inByteOrder({ memory: Buffer.concat(pieces), starts, ends }, pieces.length)];
}

test('pieces are sorted by their bytes, and equal ones keep their order', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(alike, any), { maxLength: 300 }), (pieces) => {
      const expected = pieces
        .map((_, i) => i)
        .toSorted((a, b) => Buffer.compare(pieces[a]!, pieces[b]!) || a - b);
      expect(orderOf(pieces)).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});

test('thousands of long pieces that are equal, or begin with each other, are sorted too', () => {
  const same = Array.from({ length: 2000 }, () => new Uint8Array(1024).fill(7));
  expect(orderOf(same)).toEqual(same.map((_, i) => i));
  const growing = Array.from({ length: 1024 }, (_, i) => new Uint8Array(1024 - i).fill(7));
  expect(orderOf(growing)).toEqual(growing.map((_, i) => 1023 - i));
});
