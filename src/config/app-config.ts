import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

import { StartError } from '../errors.js';
import { SETTINGS, type Setting } from './settings.js';

type Values = {
  readonly [Field in keyof typeof SETTINGS]: NonNullable<ReturnType<(typeof SETTINGS)[Field]['parse']>>;
};

/** The checked values of all settings, durations in milliseconds. A class, so that Nest can inject it by its type. */
export abstract class AppConfig extends (Object as unknown as abstract new () => Values) {}

/**
 * Checks the settings that `environment` has; an empty one counts as not set.
 * @throws StartError in one line that names the setting and the accepted form
 */
export function loadConfig(environment: NodeJS.ProcessEnv): AppConfig {
  const config = Object.fromEntries(
    Object.entries(SETTINGS).map(([field, setting]) => [field, read(setting, environment[setting.name])]),
  ) as unknown as Values;
  refuseHalfTls(config);
  return { ...config, adminToken: adminTokenOf(config) };
}

function refuseHalfTls({ tlsCert, tlsKey, tlsClientCa }: Values): void {
  if ((tlsCert === '') !== (tlsKey === '')) {
    const [given, missing] = tlsKey === '' ? ['TLS_CERT', 'TLS_KEY'] : ['TLS_KEY', 'TLS_CERT'];
    throw new StartError(`${given} needs ${missing}, too: a certificate and its key belong together.`);
  }
  if (tlsClientCa !== '' && tlsCert === '')
    throw new StartError(
      'TLS_CLIENT_CA needs TLS_CERT and TLS_KEY: only over TLS do clients show certificates.',
    );
}

function read(setting: Setting, given: string | undefined): unknown {
  const text = given || setting.default;
  const value = setting.parse(text);
  if (value !== undefined) return value;
  const shown = setting.secret ? '' : `, not ${JSON.stringify(text)}`;
  throw new StartError(`${setting.name} must be ${setting.form}${shown}.`);
}

/** Returns ADMIN_TOKEN, which may stand in a file. @throws StartError that never shows it */
function adminTokenOf({ adminToken, adminTokenFile }: Values): string {
  if (adminTokenFile === '') return adminToken;
  if (adminToken !== '') throw new StartError('Set ADMIN_TOKEN or ADMIN_TOKEN_FILE, not both.');
  let text: string;
  try {
    text = readFileSync(adminTokenFile, 'utf8').trim();
  } catch (error) {
    throw new StartError(`ADMIN_TOKEN_FILE ${adminTokenFile} cannot be read: ${(error as Error).message}.`);
  }
  if (text === '') throw new StartError(`ADMIN_TOKEN_FILE ${adminTokenFile} is empty.`);
  return read(
    { ...SETTINGS.adminToken, name: `The token in ADMIN_TOKEN_FILE ${adminTokenFile}` },
    text,
  ) as string;
}

/** Returns one process's share of a limit of the whole server. */
export function shareOf(limit: number, { workers }: Pick<AppConfig, 'workers'>): number {
  return Math.ceil(limit / workers);
}

/** Whether only this machine can reach `host`. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
