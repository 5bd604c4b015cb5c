/** A private record. */
export interface SystemRecord {
  name: string;
  value: Buffer;
}

/**
 * Private records of the server itself, such as tokens. They are as durable as entries, and no read of entries ever
 * shows them. Names are ASCII of at most 256 bytes.
 */
export interface SystemKeyspace {
  get(name: string): Buffer | undefined | Promise<Buffer | undefined>;
  put(name: string, value: Buffer): Promise<void>;
  /**
   * Puts `value` if the record is still `expected`, byte for byte; undefined is an absent one, before or after. Returns
   * whether it was.
   */
  replace(name: string, expected: Buffer | undefined, value: Buffer | undefined): Promise<boolean>;
  /** Deletes a record; deleting an absent one succeeds. */
  delete(name: string): Promise<void>;
  /** Lists the records whose names begin with `prefix`, in byte order. */
  list(prefix: string): SystemRecord[] | Promise<SystemRecord[]>;
}

/** Name of the private record that marks a half-migrated database and holds its source. No server opens such a one. */
export const MIGRATION = 'migration';
