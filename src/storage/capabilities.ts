/** What an engine promises beyond the contract, or cannot promise. Engines differ in nothing else. */
export interface Capabilities {
  /**
   * Whether acknowledged writes survive the end of this process. A store in a folder keeps them over a power loss too;
   * one in a database server keeps what that server's persistence and replicas keep.
   */
  readonly durable: boolean;
  /** Whether tags, compared as strings, sort by age, so that they serve as fencing tokens. */
  readonly orderedTags: boolean;
  /** Whether a scan and a backup show one instant. Otherwise an entry that is written meanwhile is shown old or new. */
  readonly snapshots: boolean;
  /** Whether an atomic batch may name any keys. Otherwise keys of different partitions fail with `cross-slot`. */
  readonly atomicAcrossKeys: boolean;
  /** Whether the changes of all keys have one order. Otherwise only the changes of each key have. */
  readonly totalOrder: boolean;
  /** Whether `backup` works. Otherwise it fails with `not-supported`. */
  readonly backup: boolean;
}
