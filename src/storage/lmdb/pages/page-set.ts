/** A set of pages, a bit each. Pages beyond its length are in no set. */
export class PageSet {
  private readonly bits: Uint8Array;
  size = 0;

  constructor(readonly length: number) {
    this.bits = new Uint8Array(Math.ceil(length / 8));
  }

  has(page: number): boolean {
    return page < this.length && (this.bits[page >>> 3]! & (1 << (page & 7))) !== 0;
  }

  /** Adds `count` pages. Returns whether none of them was there. */
  add(page: number, count = 1): boolean {
    let areNew = true;
    for (let number = page; number < Math.min(page + count, this.length); number++) {
      if (this.has(number)) areNew = false;
      else this.size++;
      this.bits[number >>> 3]! |= 1 << (number & 7);
    }
    return areNew;
  }
}
