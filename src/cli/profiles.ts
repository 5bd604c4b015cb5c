import { chmodSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { CommandError, EXIT } from './exit.js';

/** A server and what it takes to use it. */
export interface Profile {
  readonly url: string;
  readonly token?: string | undefined;
}

const OWNER_ONLY = 0o600;
const OTHERS = 0o077;

/** Where profiles are kept, for their owner only. */
export function profilesFile(): string {
  const folder = process.env['XDG_CONFIG_HOME'] || join(homedir(), '.config');
  return join(folder, 'pigeonhole', 'profiles.json');
}

/** @throws CommandError if the file is not what this program writes, or others may read it */
export function readProfiles(): Record<string, Profile> {
  const file = profilesFile();
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found) return {};
  if (process.platform !== 'win32' && (found.mode & OTHERS) !== 0)
    throw new CommandError(`Others may read ${file}, which holds tokens. Run: chmod 600 ${file}`);
  try {
    return Object.assign(Object.create(null), JSON.parse(readFileSync(file, 'utf8'))) as Record<
      string,
      Profile
    >;
  } catch (error) {
    throw new CommandError(`${file} cannot be read: ${(error as Error).message}.`);
  }
}

/** Replaces the file as a whole. */
export function writeProfiles(profiles: Record<string, Profile>): void {
  const file = profilesFile();
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}.${process.pid}`;
  writeFileSync(next, `${JSON.stringify(profiles, null, 2)}\n`, { mode: OWNER_ONLY });
  chmodSync(next, OWNER_ONLY);
  renameSync(next, file);
}

/** @throws CommandError if there is none of that name */
export function profileNamed(name: string): Profile {
  const profiles = readProfiles();
  const profile = profiles[name];
  if (profile) return profile;
  const names = Object.keys(profiles).join(', ') || 'none';
  throw new CommandError(
    `There is no profile ${JSON.stringify(name)} (there is: ${names}). Make it with \`pigeonhole profile add\`.`,
    EXIT.usage,
  );
}
