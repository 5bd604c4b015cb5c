import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv6 } from 'node:net';

/** What an IPv4 address begins with where it is written as IPv6 (RFC 4291, 2.5.5.2). */
const MAPPED = [0, 0, 0, 0, 0, 0xffff];
const NETWORK_GROUPS = 4;

/**
 * Tells where requests come from.
 *
 * Problem: behind a proxy every connection is the proxy's, and `X-Forwarded-For`, in which it says whose request it passes
 * on, can be sent by anybody. Design: each proxy adds the address that it sees at the end of the header, so the header is
 * read from there for as long as the one who said it is in TRUSTED_PROXIES. Guarantee: what a client writes into the header
 * itself is to the left of its address and never read.
 */
export class ClientAddresses {
  private readonly trusted: BlockList | undefined;

  /** @param proxies networks, such as `10.0.0.0/8` and `::1/128` */
  constructor(proxies: readonly string[]) {
    if (proxies.length === 0) return;
    this.trusted = new BlockList();
    for (const network of proxies) {
      const [address, bits] = network.split('/') as [string, string];
      this.trusted.addSubnet(address, Number(bits), familyOf(address));
    }
  }

  /**
   * Returns the IP address that is farthest from the server on the way of the request and still known for certain: an
   * IPv4 address that is mapped into IPv6 as IPv4, empty if the connection has ended.
   */
  of({ socket, headers }: IncomingMessage): string {
    let address = plainAddress(socket.remoteAddress ?? '') ?? '';
    if (!this.trusted || !this.trusts(address)) return address;
    for (const text of String(headers['x-forwarded-for'] ?? '')
      .split(',')
      .reverse()) {
      if (text.trim() === '') continue;
      const next = forwardedAddress(text.trim());
      // Whoever passed on what is no address does not know the client, and nobody answers for what is before it.
      if (next === undefined) break;
      address = next;
      if (!this.trusts(address)) break;
    }
    return address;
  }

  private trusts(address: string): boolean {
    return address !== '' && this.trusted!.check(address, familyOf(address));
  }
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}

/** Some proxies add the port of the client, and brackets around IPv6. */
const FORWARDED = /^(?:\[([^\]]+)\](?::\d+)?|([\d.]+)(?::\d+)?|([^[\]]+))$/;

function forwardedAddress(text: string): string | undefined {
  const [, inBrackets, ipv4, ipv6] = FORWARDED.exec(text) ?? [];
  return plainAddress(inBrackets ?? ipv4 ?? ipv6 ?? '');
}

/** Returns an address without zone and in lower case, or as IPv4 if it is one that is mapped; undefined if it is none. */
function plainAddress(text: string): string | undefined {
  switch (isIP(text)) {
    case 4:
      return text;
    case 6:
      return mappedAddress(groupsOf(text)) ?? text.split('%', 1)[0]!.toLowerCase();
    default:
      return undefined;
  }
}

/**
 * Returns what counts as one client where clients are counted: an IPv4 address, also one that is mapped into IPv6, or the
 * /64 network of an IPv6 address, all of whose addresses one client can have.
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const groups = groupsOf(address);
  const mapped = mappedAddress(groups);
  if (mapped !== undefined) return mapped;
  const network = groups.slice(0, NETWORK_GROUPS).map((group) => group.toString(16));
  return `${network.join(':')}::/64`;
}

function mappedAddress(groups: readonly number[]): string | undefined {
  if (MAPPED.some((group, i) => groups[i] !== group)) return undefined;
  return groups
    .slice(MAPPED.length)
    .flatMap((group) => [group >> 8, group & 0xff])
    .join('.');
}

/** Returns the eight groups of an IPv6 address, which may have a zone and end as IPv4. */
function groupsOf(address: string): number[] {
  const [text = ''] = address.split('%');
  const [before, after] = text.split('::').map(writtenGroups);
  const known = before!.length + (after?.length ?? 0);
  return [...before!, ...Array<number>(8 - known).fill(0), ...(after ?? [])];
}

function writtenGroups(text: string): number[] {
  return text
    .split(':')
    .filter(Boolean)
    .flatMap((part) => {
      if (!part.includes('.')) return [Number.parseInt(part, 16)];
      const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
      return [a * 256 + b, c * 256 + d];
    });
}
