/** The WAITs of one connection. */
export class ReplicaWaits {
  private current: Promise<number> | undefined;

  constructor(private readonly send: (args: readonly string[], deadline: number) => Promise<unknown>) {}

  /**
   * Waits until `count` replicas have what was written on this connection before the call, for `timeout` milliseconds.
   * Returns how many have it. Callers that come while a WAIT is under way share the next one, which covers all of them.
   */
  async wait(count: number, timeout: number, deadline: number): Promise<number> {
    const current = this.current;
    if (current) {
      await current.catch(() => undefined);
      if (this.current && this.current !== current) return this.current;
    }
    const next = this.send(['WAIT', String(count), String(timeout)], deadline) as Promise<number>;
    const clear = () => {
      if (this.current === next) this.current = undefined;
    };
    this.current = next;
    next.then(clear, clear);
    return next;
  }
}
