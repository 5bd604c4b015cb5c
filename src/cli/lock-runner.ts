import { spawn, type ChildProcess } from 'node:child_process';

/** What the process that keeps the lock says. */
export interface Order {
  readonly command?: readonly string[];
  readonly fence?: string;
  /** How long the lease certainly lasts, milliseconds. */
  readonly left?: number;
  readonly kill?: NodeJS.Signals;
  readonly lost?: boolean;
}

/** What the runner answers: first the id of the command's process, and at last how it ended. */
export interface Report {
  readonly pid?: number;
  readonly code?: number | null;
  readonly signal?: NodeJS.Signals | null;
  readonly failed?: string;
}

/** Shares of what is left of the lease, after which the command is asked and then made to end. */
const ASK = 3 / 4;
const FORCE = 7 / 8;

let child: ChildProcess | undefined;
/** Whether the command is the leader of a group of its own. On a terminal it stays in that of the terminal. */
const hasGroup = !process.stdin.isTTY && process.platform !== 'win32';
let timers: NodeJS.Timeout[] = [];
let end = Infinity;

function take({ command, fence, left, kill: signal, lost }: Order): void {
  if (left !== undefined) setDeadline(left);
  if (command) run(command, fence!);
  if (signal) kill(signal);
  if (lost) giveUp();
}

function setDeadline(left: number): void {
  timers.forEach(clearTimeout);
  end = Date.now() + left;
  timers = [setTimeout(() => kill('SIGTERM'), left * ASK), setTimeout(() => kill('SIGKILL'), left * FORCE)];
}

function giveUp(): void {
  kill('SIGTERM');
  const left = end - Date.now();
  timers.push(setTimeout(() => kill('SIGKILL'), Math.max(0, left / 2)));
}

function run([program, ...args]: readonly string[], fence: string): void {
  const env = { ...process.env, PIGEONHOLE_FENCE: fence };
  child = spawn(program!, args, { stdio: 'inherit', env, detached: hasGroup });
  child.on('error', (error) => {
    report({ failed: `${program} cannot be run: ${error.message}.` });
  });
  child.on('exit', (code, signal) => {
    child = undefined;
    timers.forEach(clearTimeout);
    report({ code, signal });
  });
  if (child.pid !== undefined) report({ pid: hasGroup ? -child.pid : child.pid });
}

function kill(signal: NodeJS.Signals): void {
  if (!child?.pid) return;
  try {
    process.kill(hasGroup ? -child.pid : child.pid, signal);
  } catch {
    // It has ended.
  }
}

function report(report: Report): void {
  process.send?.(report, undefined, undefined, () => undefined);
}

// The process that keeps the lock passes on what concerns the command.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => undefined);
process.on('message', take);
process.on('disconnect', () => {
  kill('SIGKILL');
  process.exit();
});
