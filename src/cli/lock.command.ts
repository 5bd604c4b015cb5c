import type { Command } from 'commander';
import { fork, type ChildProcess } from 'node:child_process';
import { constants, hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { PigeonholeError, type Lock, type Pigeonhole } from '../client/pigeonhole.js';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { CommandError, EXIT } from './exit.js';
import type { Order, Report } from './lock-runner.js';

interface Flags extends ServerOptions {
  readonly ttl: string;
  readonly wait: boolean;
}

const TAKEN = 'Somebody else holds the lock. Without --no-wait it is waited for.';
const RUNNER = fileURLToPath(new URL('lock-runner.js', import.meta.url));
const PASSED_ON = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'] as const;

/** `pigeonhole lock NAME -- CMD` */
export function addLockCommand(program: Command): void {
  addServerOptions(
    program
      .command('lock')
      .description('Runs a command while it holds a lock, which one holder at a time can have.')
      .usage('[options] <name> -- <command> [arguments...]')
      .argument('<name>', 'the lock is the entry lock/<name>')
      .argument('<command...>')
      .option('--ttl <duration>', 'how long the lock outlives a holder that is gone, from 1s on', '30s')
      .option('--no-wait', 'ends with 4 if somebody else has it, instead of waiting'),
  )
    .addHelpText('after', HELP)
    .action((name: string, command: string[], flags: Flags) =>
      withServer(flags, (db) => runLocked(db, name, command, flags)),
    );
}

const HELP = `
The lock is renewed at a third of its duration. The command finds in PIGEONHOLE_FENCE a text that
is greater for every later holder (not on Redis); what it writes to can refuse smaller ones. If the
lease is lost, or this program dies, the command is ended: SIGTERM, and SIGKILL before another
can have the lock. It ends as the command did; 128 and the number of a signal that ended it.`;

/*
 * Two processes hold each other to account. This one keeps the lease; the runner is the parent of the command. If this one dies
 * or is stopped, the runner ends the command: it hears of every renewal, and has the deadline itself.
 */
async function runLocked(
  db: Pigeonhole,
  name: string,
  command: string[],
  { ttl, wait }: Flags,
): Promise<void> {
  if (!/^\d+(s|m|h|d)?$/.test(ttl) || parseInt(ttl) === 0)
    throw new CommandError('--ttl takes a duration from 1s on, such as 30s or 5m.', EXIT.usage);
  const runner = fork(RUNNER, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'], execArgv: [] });
  const interrupt = new AbortController();
  let lock: Lock | undefined;
  for (const signal of PASSED_ON)
    process.on(signal, () => {
      // A terminal sends its signals to the command, too.
      if (!lock) interrupt.abort(new CommandError('Interrupted.', EXIT.interrupted));
      else if (signal !== 'SIGINT' || !process.stdin.isTTY) tell(runner, { kill: signal });
    });
  try {
    const holder = `${hostname()}:${process.pid}`;
    lock = await db.lock(name, { ttl, wait, holder, signal: interrupt.signal }).catch((error: unknown) => {
      const isTaken = error instanceof PigeonholeError && error.code === 'precondition-failed';
      throw isTaken ? new CommandError(TAKEN, EXIT.conditionFailed) : error;
    });
    process.exitCode = await follow(runner, lock, command);
  } finally {
    runner.disconnect();
    await lock?.release().catch(() => undefined);
  }
}

/** Has the command run, and returns the exit code. */
async function follow(runner: ChildProcess, lock: Lock, command: string[]): Promise<number> {
  const ended = new Promise<Report>((resolve, reject) => {
    runner.on('message', (report: Report) => {
      if (report.failed !== undefined) reject(new CommandError(report.failed, EXIT.failed));
      else if (report.pid === undefined) resolve(report);
      else runner.on('exit', () => endGroup(report.pid!));
    });
    runner.on('exit', () => reject(new CommandError('The process that runs the command has died.')));
  });
  const renewed = (left: number): void => tell(runner, { left });
  lock.signal.addEventListener('abort', () => {
    console.error(`pigeonhole: The lease of ${lock.key} is lost: the command is ended.`);
    tell(runner, { lost: true });
  });
  lock.onRenewal(renewed);
  tell(runner, { command, fence: lock.fence, left: lock.left });
  const { code, signal } = await ended;
  return code ?? 128 + constants.signals[signal!];
}

function tell(runner: ChildProcess, order: Order): void {
  if (runner.connected) runner.send(order, () => undefined);
}

function endGroup(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
