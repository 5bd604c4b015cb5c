/** The variable in which a worker is told which one of them it is, from 1. Whoever takes its place has its number. */
export const WORKER_NUMBER = 'PIGEONHOLE_WORKER';

/** Whether this process tells the user what every one of the server's processes could. */
export function speaksForAll(): boolean {
  return (process.env[WORKER_NUMBER] ?? '1') === '1';
}
