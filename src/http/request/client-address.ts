import { isIPv6 } from 'node:net';

/** What an IPv4 address begins with where it is written as IPv6 (RFC 4291, 2.5.5.2). */
const MAPPED = [0, 0, 0, 0, 0, 0xffff];
const NETWORK_GROUPS = 4;

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
