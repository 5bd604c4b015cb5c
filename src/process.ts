/*
 * What the process does about signals and about its own output.
 *
 * Problem: a signal that comes while a library loads finds no handler, or the handler of a server that is half there,
 * and a write to a closed or full stdout is an error that ends the process. Design: this file loads nothing, and the
 * entry points call it before they load anything. Guarantee: the first SIGTERM, SIGINT or SIGHUP ends the server with
 * 0, at once as long as nothing is open, by `onStop` after that; further signals change nothing. With certificates SIGHUP
 * does not stop the server, but has them read again, as with other servers. Node itself needs some
 * 40 ms before the first line of a program runs; a signal in that time ends the process as the system does by default.
 */

/** A closed terminal sends SIGHUP. */
const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

let reload: () => void = () => undefined;
let stop: (signal: NodeJS.Signals) => void = () => process.exit(0);
let stopping = false;

/** Ends the process with 0 on the first signal to stop. */
export function endOnSignals(): void {
  for (const signal of STOP_SIGNALS) process.off(signal, handle).on(signal, handle);
}

/** Leaves it to `handler` to end the process, which has something to close from now on. */
export function onStop(handler: (signal: NodeJS.Signals) => void): void {
  stop = handler;
}

/** Whether a signal to stop has come. */
export function isStopping(): boolean {
  return stopping;
}

/** Leaves it to `handler` to read the certificates again. */
export function onReload(handler: () => void): void {
  reload = handler;
}

function handle(signal: NodeJS.Signals): void {
  if (signal === 'SIGHUP' && process.env['TLS_CERT']) reload();
  else stopOnce(signal);
}

function stopOnce(signal: NodeJS.Signals): void {
  if (stopping) return;
  stopping = true;
  stop(signal);
}

/**
 * Reports why a command or the server cannot start, before there is a log: in a line for people, or as one of the log if
 * LOG_FORMAT asks for JSON.
 */
export function reportFailure(line: string): void {
  const event = { time: new Date().toISOString(), level: 'error', message: line, pid: process.pid };
  console.error(process.env['LOG_FORMAT'] === 'json' ? JSON.stringify(event) : `pigeonhole: ${line}`);
}

/** Goes on when nobody reads the output any more (EPIPE), its disk is full (ENOSPC) or its terminal is gone (EIO). */
export function ignoreOutputErrors(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
}
