// Starts programs on chosen processors and asks /proc what they took.
import { execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** What is measured and what loads it have a processor each, where there are two. */
export const SERVER_CORE = '0';
export const LOAD_CORE = String(cpus().length - 1);
export const ALL_CORES = `0-${cpus().length - 1}`;

const MICROSECONDS_A_TICK = 1e6 / Number(execFileSync('getconf', ['CLK_TCK']));
const running = new Set();

// Nothing outlives the benchmark: this ends what runs when it ends, and setpriv what runs when it is killed.
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
])
  process.on(signal, () => process.exit(status));

export function isInstalled(program) {
  try {
    execFileSync('which', [program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Starts a program on the processors `cores`; it is killed when this process ends, however that happens. */
export function launch(command, args, { cores, env, cwd, stdio = 'ignore' }) {
  const pinned = ['--pdeathsig', 'KILL', 'taskset', '-c', cores, command, ...args];
  const child = spawn('setpriv', pinned, { env, cwd, stdio });
  running.add(child);
  child.ended = new Promise((resolve) => child.once('close', resolve)).then((status) => {
    running.delete(child);
    return status;
  });
  return child;
}

/** Runs a program to its end and resolves to what it printed. @throws Error with its own words if it fails */
export async function run(command, args, { cores = LOAD_CORE, input = 'ignore' } = {}) {
  const child = launch(command, args, { cores, stdio: [input, 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'])
    child[name].setEncoding('utf8').on('data', (text) => (said[name] += text));
  const status = await child.ended;
  if (status !== 0)
    throw new Error(`${command} ended with ${status}: ${said.stderr}${said.stdout}`.slice(0, 2000));
  return said.stdout;
}

export async function kill(child) {
  child.kill('SIGKILL');
  await child.ended;
}

/** User and system time of a process and of its children that have ended, µs. */
export function cpuOf(pid) {
  const fields = statOf(pid);
  return [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field] ?? 0), 0) * MICROSECONDS_A_TICK;
}

/** The system time of it alone, µs. */
export function systemOf(pid) {
  const fields = statOf(pid);
  return [12, 14].reduce((sum, field) => sum + Number(fields[field] ?? 0), 0) * MICROSECONDS_A_TICK;
}

/** Pages that a process had to be given without reading the disk. */
export function faultsOf(pid) {
  return Number(statOf(pid)[7]);
}

/** Memory of a process's own, bytes: pages of a mapped file are the file's. */
export function memoryOf(pid) {
  return 1024 * Number(/RssAnon:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
}

/** What a process has written to files so far, bytes. */
export function writtenBy(pid) {
  return Number(/^write_bytes: (\d+)/m.exec(read(`/proc/${pid}/io`))?.[1] ?? 0);
}

/** A process and all below it. */
export function familyOf(pid) {
  const children = tasksOf(pid).flatMap((task) =>
    read(`/proc/${pid}/task/${task}/children`).split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(familyOf)];
}

/** The fields of /proc/<pid>/stat behind the name, from field 3. */
function statOf(pid) {
  return read(`/proc/${pid}/stat`).split(') ')[1]?.split(' ') ?? [];
}

function tasksOf(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** What /proc says, or nothing of a process that has just ended: Redis has children that come and go. */
function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
