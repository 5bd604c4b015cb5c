import { afterAll } from '@jest/globals';
import { readFileSync } from 'node:fs';
import net, { type AddressInfo, type Socket } from 'node:net';
import tls, { type ConnectionOptions } from 'node:tls';
import { once } from 'node:events';
import { certificate } from './certificates.js';

/*
 * With OVER_TLS=true in the environment the servers of all suites speak TLS, and their clients, which know nothing of it,
 * are connected by a tunnel: every rule of plain HTTP has to hold over TLS too. Of test/e2e/http one suite cannot be run so:
 * unsent-answers, because the tunnel takes in what nobody reads.
 */

export const IS_OVER_TLS = process.env['OVER_TLS'] === 'true';

/** The settings that make a server speak TLS in a run in which all do. */
export function tlsSettings(): Record<string, string> {
  if (!IS_OVER_TLS) return {};
  const { cert, key } = certificate();
  return { TLS_CERT: cert, TLS_KEY: key };
}

const tunnels = new Set<net.Server>();
afterAll(() => tunnels.forEach((tunnel) => tunnel.close()));

/** Returns a port for plain connections, each of which goes on to `port` over TLS. */
export async function tunnelTo(port: number, ca = readFileSync(certificate().cert)): Promise<number> {
  const tunnel = net.createServer({ allowHalfOpen: true, noDelay: true }, (plain) => {
    // The types do not know that TLS can be half open, too.
    const options: ConnectionOptions & { allowHalfOpen: boolean } = {
      port,
      host: '127.0.0.1',
      ca,
      allowHalfOpen: true,
    };
    join(plain, tls.connect(options).setNoDelay(true));
  });
  tunnels.add(tunnel);
  tunnel.unref().listen(0, '127.0.0.1');
  await once(tunnel, 'listening');
  return (tunnel.address() as AddressInfo).port;
}

/** Returns the port for plain connections to a server, in a run over TLS that of a tunnel. */
export async function plainPort(port: number): Promise<number> {
  return IS_OVER_TLS ? tunnelTo(port) : port;
}

function join(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroySoon());
  }
}
