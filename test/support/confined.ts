import { spawn, type ChildProcess } from 'node:child_process';
import { chownSync } from 'node:fs';
import { findProgram } from './requires.js';
import { canMount } from './machine.js';

/** A user without a name, as systemd and container engines make them. */
export const USER = 61_184;

/** Whether a process can be confined here. */
export function canConfine(): boolean {
  return process.getuid?.() === 0 && canMount() && findProgram('setpriv') !== undefined;
}

interface Confinement {
  readonly env: Record<string, string>;
  readonly cwd: string;
  /** The only folder that it can write to. */
  readonly writable: string;
}

/**
 * Runs a command as a user without a name and without any right, who sees every file system read-only but for one folder:
 * what a unit with DynamicUser and ProtectSystem=strict does, and a container with a read-only root.
 */
export function confined(command: readonly string[], { env, cwd, writable }: Confinement): ChildProcess {
  chownSync(writable, USER, USER);
  const script = `
    set -e
    mount --bind "$WRITABLE" "$WRITABLE"
    for point in / $(awk '$3 ~ /^(ext4|xfs|btrfs|overlay|tmpfs)$/ && $2 != "/" && $2 != ENVIRON["WRITABLE"] { print $2 }' /proc/mounts); do
      mount -o remount,bind,ro "$point" 2>/dev/null || [ "$point" != / ]
    done
    cd "$FOLDER"
    exec setpriv --reuid=${USER} --regid=${USER} --clear-groups --no-new-privs \\
      --bounding-set=-all --inh-caps=-all env --ignore-environment "$@"`;
  const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return spawn('unshare', ['--mount', 'sh', '-c', script, 'sh', ...settings, ...command], {
    env: { PATH: process.env['PATH'] ?? '', WRITABLE: writable, FOLDER: cwd },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
