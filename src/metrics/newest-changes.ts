import { Injectable } from '@nestjs/common';
import type { Access } from '../auth/access.js';
import { Tokens } from '../auth/tokens.js';
import type { RecentChange } from '../storage/recent-change.js';
import { StorageEngine } from '../storage/storage-engine.js';
import { inTime } from './in-time.js';

const MOST_SHOWN = 20;

/** A change as JSON. */
export interface ShownChange {
  readonly key: string;
  readonly kind: RecentChange['kind'];
  readonly etag: string;
  /** RFC 3339. */
  readonly time: string;
  /** The public id of the token that made it; null if there was none, or who asks may not know it. */
  readonly by: string | null;
  /** For a put: the type of the new entry. */
  readonly type: string | null;
  /** For a put: the size of the new value, bytes. */
  readonly size: number | null;
}

/** Shows what was changed last. Keys are data, which not everybody may read who may see figures. */
@Injectable()
export class NewestChanges {
  constructor(
    private readonly engine: StorageEngine,
    private readonly tokens: Tokens,
  ) {}

  /** Returns the newest changes that concern who asks, newest first; null for who may not read, and if the storage is away. */
  async shownTo(access: Access | undefined): Promise<readonly ShownChange[] | null> {
    if (access && !access.may('read')) return null;
    return inTime(() => this.read(access), null);
  }

  private async read(access: Access | undefined): Promise<ShownChange[]> {
    const newest = await (access?.engine ?? this.engine).newestChanges(MOST_SHOWN, '');
    const makers = newest.flatMap(({ by }) => by ?? []);
    const isKnown = await this.tokens.knownTo(access, makers);
    return newest.map(({ key, kind, etag, time, by, type, size }) => ({
      key,
      kind,
      etag,
      time: new Date(time).toISOString(),
      by: by !== undefined && isKnown(by) ? by : null,
      type: type ?? null,
      size: size ?? null,
    }));
  }
}
