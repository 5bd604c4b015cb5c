import { Pigeonhole, type ClientOptions } from '../client/pigeonhole.js';

export interface AdapterOptions extends ClientOptions {
  /** What the keys of this use begin with, so that it never touches others; it has a default of its own for each adapter. */
  readonly prefix?: string | undefined;
}

/** Returns the client that an adapter is given, or that of the server with this URL. */
export function clientOf(server: string | Pigeonhole, options: AdapterOptions): Pigeonhole {
  return typeof server === 'string' ? new Pigeonhole(server, options) : server;
}

/** Milliseconds as the server takes them: whole ones, at least one, and none for what never ends. */
export function durationOf(milliseconds: number | undefined): string | undefined {
  return milliseconds ? `${Math.max(1, Math.ceil(milliseconds))}ms` : undefined;
}

/**
 * Returns the prefix that an adapter may clear.
 * @throws RangeError if it is empty: to clear would delete everything in the database
 */
export function prefixOf({ prefix }: AdapterOptions, usual: string): string {
  if (prefix === '')
    throw new RangeError('The prefix must not be empty: clear() would delete the whole database.');
  return prefix ?? usual;
}
