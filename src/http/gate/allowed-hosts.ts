import { isIP } from 'node:net';

/**
 * Decides which `Host` a request may name.
 *
 * Problem: DNS rebinding. A web page's own name is made to resolve to 127.0.0.1, and its scripts then talk to the
 * database as if to their own server. Design: such an attack needs a name, so IP addresses, `localhost`, the HOST
 * setting and the names of ALLOWED_HOSTS pass and every other name does not. Names below `localhost` are this machine as
 * well (RFC 6761, 6.3), and pass where nobody else reaches the server. Ports are not compared: tunnels and port mappings
 * change them.
 */
export class AllowedHosts {
  private readonly names: ReadonlySet<string>;
  /** The last header that passed: a client sends the same one every time. */
  private lastAllowed: string | undefined;

  /** @param isLoopback whether only this machine can reach the server */
  constructor(
    names: readonly string[],
    private readonly isLoopback: boolean,
  ) {
    this.names = new Set(['localhost', ...names.map((name) => name.toLowerCase())]);
  }

  /** Whether the authority `name[:port]` may be answered. */
  allows(authority: string): boolean {
    if (authority === this.lastAllowed) return true;
    const name = nameOf(authority);
    if (name === undefined || !this.isOurs(name)) return false;
    this.lastAllowed = authority;
    return true;
  }

  private isOurs(name: string): boolean {
    return isIP(name) !== 0 || this.names.has(name) || (this.isLoopback && BELOW_LOCALHOST.test(name));
  }
}

const BELOW_LOCALHOST = /^(?:[\w-]+\.)+localhost$/;

/** Returns the lower-case host of `host[:port]`, without brackets or a trailing dot; undefined if it is no authority. */
function nameOf(authority: string): string | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:@/\\?#[\]]+))(?::[0-9]{0,5})?$/.exec(authority);
  if (!match) return undefined;
  return match[1] ?? match[2]!.toLowerCase().replace(/\.$/, '');
}
