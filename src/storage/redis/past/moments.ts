import { DatabaseError } from '../../../errors.js';
import type { Moment, MomentName } from '../../past.js';
import type { RedisChangeLog } from '../change-log.js';
import type { Partition } from '../partitions.js';
import { offsetAfter, type Offset } from '../position.js';
import { MOMENT } from '../scripts.js';
import type { RedisStore } from '../store.js';

/** A moment in the log of one partition. */
export interface Place {
  /** The sequence of the last change before it. */
  readonly sequence: number;
  /** Whether the log has every change since. */
  readonly isReached: boolean;
  /** The time, if a time named the moment, which is never later than the present. */
  readonly time: number | undefined;
  /** When the first change was made that the log has, milliseconds since 1970. */
  readonly oldest: number | undefined;
}

const TAG = /^[0-9a-f]{8}-[0-9a-f]{13}-[0-9a-f]{12}$/;
/** What begins as a tag and is none is no position either. */
const TAG_START = /^[0-9a-f]{8}-/;
const LEAST_POSITION_BYTES = 5;

/**
 * Moments of a database whose partitions have logs of their own.
 *
 * A time and a position name a moment of each partition, a tag that of its own. What that is in the log of a partition is found when it
 * is asked for, and once.
 */
export class Moments {
  private readonly places = new WeakMap<Moment, Map<Partition, Promise<Place>>>();

  constructor(
    private readonly store: RedisStore,
    private readonly log: RedisChangeLog,
  ) {}

  async find(name: MomentName): Promise<Moment | undefined> {
    if ('time' in name) return { position: '', time: name.time, isReached: true };
    const { tag } = name;
    const moment = { position: tag, time: undefined, isReached: true };
    if (TAG.test(tag)) return { ...moment, isReached: parseInt(tag, 16) === this.store.epoch };
    const bytes = Buffer.from(tag, 'base64url');
    const isPosition = bytes.length >= LEAST_POSITION_BYTES && bytes.toString('base64url') === tag;
    if (!isPosition || TAG_START.test(tag)) return undefined;
    return { ...moment, isReached: (await this.log.offsetsOf(tag)) !== undefined };
  }

  /** Returns what a moment is in the log of a partition. @throws DatabaseError `not-supported` for the tag of another one's change */
  placeIn(partition: Partition, moment: Moment): Promise<Place> {
    let places = this.places.get(moment);
    if (!places) this.places.set(moment, (places = new Map()));
    let place = places.get(partition);
    if (!place) places.set(partition, (place = this.look(partition, moment)));
    return place;
  }

  /** Returns since when all logs have every change: the latest time at which one of those begins that have dropped some, or the first of all. */
  async oldest(): Promise<number | undefined> {
    const places = await this.store.onEachPartition((each) => this.ask(each, 'sequence', 0, ''));
    const times = (some: readonly Place[]) => some.flatMap(({ oldest }) => oldest ?? []);
    const cut = times(places.filter(({ isReached }) => !isReached));
    const all = times(places);
    return cut.length > 0 ? Math.max(...cut) : all.length > 0 ? Math.min(...all) : undefined;
  }

  private async look(partition: Partition, moment: Moment): Promise<Place> {
    const { position, time } = moment;
    if (time !== undefined) return this.ask(partition, 'time', time, '');
    const isTag = TAG.test(position);
    const offset = isTag ? offsetAfter(position) : (await this.log.offsetsOf(position))?.[partition.id];
    const place = await this.ask(partition, 'sequence', offset?.sequence ?? 0, randomOf(position, offset));
    if (isTag && moment.isReached && place.state === 'strange' && this.store.partitions.all.length > 1)
      throw elsewhere();
    return moment.isReached ? place : { ...place, isReached: false };
  }

  private async ask(
    partition: Partition,
    kind: 'time' | 'sequence',
    number: number,
    random: string,
  ): Promise<Place & { readonly state: string }> {
    const reply = await this.store.query(partition, MOMENT, [kind, String(number), random]);
    const [sequence, state, oldest, at] = (reply as Buffer[]).map((word) => word.toString('latin1'));
    return {
      sequence: Number(sequence),
      state: state!,
      isReached: state === 'reached',
      time: at === undefined ? undefined : Number(at),
      oldest: oldest ? Number(oldest) : undefined,
    };
  }
}

/** Of a tag all random digits, because tags of several partitions have the same sequences. */
function randomOf(position: string, offset: Offset | undefined): string {
  return TAG.test(position) ? position.slice(-12) : (offset?.random ?? '');
}

function elsewhere(): DatabaseError {
  return new DatabaseError(
    'not-supported',
    'On a cluster a tag names a moment for the keys that share the partition of its own. For others give a time or a KV-Revision.',
  );
}
