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
  refuseUnbuilt(environment);
  const config = Object.fromEntries(
    Object.entries(SETTINGS).map(([field, setting]) => [field, read(setting, environment)]),
  ) as unknown as Values;
  if (!isLoopback(config.host) && !config.allowAnonymous) {
    throw new StartError(
      `HOST ${config.host} can be reached by others, and everybody who reaches it could read and write. ` +
        'Set ALLOW_ANONYMOUS=true if that is what you want, or listen on 127.0.0.1.',
    );
  }
  refuseHalfTls(config);
  return config;
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

function read(setting: Setting, environment: NodeJS.ProcessEnv): unknown {
  const text = environment[setting.name] || setting.default;
  const value = setting.parse(text);
  if (value === undefined) {
    throw new StartError(`${setting.name} must be ${setting.form}, not ${JSON.stringify(text)}.`);
  }
  return value;
}

/** Settings that a later version will have. Who sets one believes that the server is protected, and it is not. */
const UNBUILT = ['ADMIN_TOKEN', 'ADMIN_TOKEN_FILE'];

function refuseUnbuilt(environment: NodeJS.ProcessEnv): void {
  const name = UNBUILT.find((each) => environment[each]);
  if (name !== undefined)
    throw new StartError(`${name} is not available in this version. Start the server without it.`);
}

/** Returns one process's share of a limit of the whole server. */
export function shareOf(limit: number, { workers }: Pick<AppConfig, 'workers'>): number {
  return Math.ceil(limit / workers);
}

/** Whether only this machine can reach `host`. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
