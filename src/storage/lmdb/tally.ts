import { crc32 } from 'node:zlib';

/** The sum of a set of keys, whatever their order. */
export class Tally {
  count = 0;
  private sum = 0;
  private other = 0;

  add(key: Buffer): void {
    this.count++;
    this.sum = (this.sum + crc32(key)) >>> 0;
    this.other = (this.other + crc32(key, 1)) >>> 0;
  }

  equals({ count, sum, other }: Tally): boolean {
    return this.count === count && this.sum === sum && this.other === other;
  }
}
