/** The environment variable with the slot of a worker, from 1. A replacement has the slot of the worker it replaces. */
export const WORKER_SLOT = 'PIGEONHOLE_WORKER';

/** Returns whether this process reports what concerns all processes of the server: it is the only or the first one. */
export function reportsForServer(): boolean {
  return (process.env[WORKER_SLOT] ?? '1') === '1';
}
