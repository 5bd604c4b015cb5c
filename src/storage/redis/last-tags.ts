import type { Partition } from './partitions.js';
import { sequenceOf } from './position.js';

/**
 * The last tag of each partition, as far as this server knows: from its own writes, from the messages that scripts publish,
 * and from reading all of them once a second, because messages can get lost.
 */
export class LastTags {
  /** Called after a tag has changed. */
  onChange: () => void = () => undefined;
  /** Empty before a partition's first change. */
  private readonly tags: string[];
  /** Partitions with changes that could not be read. */
  private readonly unread = new Set<number>();

  constructor(partitions: number) {
    this.tags = Array.from({ length: partitions }, () => '');
  }

  of({ id }: Partition): string {
    return this.tags[id]!;
  }

  all(): string[] {
    return [...this.tags];
  }

  /** Takes over a tag, unless a newer one is known: messages may come late. */
  advance({ id }: Partition, tag: string): void {
    const known = this.tags[id]!;
    if (tag !== '' && (known === '' || sequenceOf(tag) > sequenceOf(known))) this.set(id, tag);
  }

  /** Takes over the last tag of a partition that `read` returns. */
  async refresh({ id }: Partition, read: () => Promise<string>): Promise<void> {
    const known = this.tags[id];
    const tag = await read();
    // An older tag counts too, because a failover can undo the last changes; unless a newer one has come meanwhile.
    const isNews = this.unread.delete(id) || tag !== known;
    if (isNews && this.tags[id] === known) this.set(id, tag);
  }

  /** Tells of a partition again as soon as its last tag is read, because what has changed there could not be read. */
  doubt({ id }: Partition): void {
    this.unread.add(id);
  }

  private set(id: number, tag: string): void {
    this.tags[id] = tag;
    this.onChange();
  }
}
