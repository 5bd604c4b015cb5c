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

test('pieces come in the order of their bytes, and equal ones as they were', () => {
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

test('long pieces that are all the same, or each the beginning of the next, are no trouble', () => {
  const same = Array.from({ length: 2000 }, () => new Uint8Array(1024).fill(7));
  expect(orderOf(same)).toEqual(same.map((_, i) => i));
  const growing = Array.from({ length: 1024 }, (_, i) => new Uint8Array(1024 - i).fill(7));
  expect(orderOf(growing)).toEqual(growing.map((_, i) => 1023 - i));
});
