/** How a store is opened. */
export interface OpenSettings {
  /** Opens an existing store beside the processes that write to it: nothing is created, swept or written but its fence. */
  readonly readOnly?: boolean;
  /** Writes to a store that has a fence, too, as a migration does that brings the database back. */
  readonly passesFence?: boolean;
  /**
   * How many processes use the store at once, this one included; 1 by default. They see each other's writes at once,
   * their listeners are called soon after them, and they share the limits of the store. A process that writes alone owns
   * the store; who starts several has made itself their owner (`lockStore`).
   */
  readonly processes?: number;
}
