import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import tls, { type ConnectionOptions } from 'node:tls';
import { HANG_MS } from './eventually.js';
import { answerTo, type Answer, type Question } from './http.js';

/** Sends `path` as it stands over a TLS connection of its own, which `tls` describes. */
export function askOverTls(
  port: number,
  path: string,
  tls: ConnectionOptions,
  {
    method = 'GET',
    headers = {},
    body,
    agent = false,
  }: Omit<Question, 'agent'> & { agent?: https.Agent | false } = {},
): Promise<Answer> {
  const options = { ...tls, host: '127.0.0.1', port, path, method, headers, agent, timeout: HANG_MS };
  return answerTo(https.request(options), `${method} ${path}`, body);
}

/** Returns which certificate a new connection is shown. */
export async function shownBy(port: number): Promise<string> {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerX509Certificate()!;
  socket.destroy();
  return fingerprint256;
}

/** Returns the certificate in a file as `shownBy` does. */
export function fingerprintOf(file: string): string {
  return new X509Certificate(readFileSync(file)).fingerprint256;
}
