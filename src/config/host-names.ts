import { isIP } from 'node:net';

/** Names of containers may have underscores, which those of RFC 1123 have not. */
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/** Returns the IP address, or the host name in lower case. An IPv6 address may stand in brackets, as in URLs. */
export function hostOf(text: string): string | undefined {
  const [, inBrackets] = /^\[(.*)\]$/.exec(text) ?? [];
  if (inBrackets !== undefined) return isIP(inBrackets) === 6 ? inBrackets : undefined;
  if (isIP(text) !== 0) return text;
  return isHostName(text) ? text.toLowerCase() : undefined;
}

/** Returns an IP address or network as `address/bits`. */
export function networkOf(text: string): string | undefined {
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)]!;
  const given = bits === undefined ? most : Number(bits);
  return most > 0 && given <= most ? `${address}/${given}` : undefined;
}

/** An origin, or a URL that has nothing more than one. */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^/?#@*\s\\]+$/i;

/** Returns an origin as browsers send it. They do so for schemes of their own, too, whose origin URL does not know. */
export function originOf(text: string): string | undefined {
  if (!ORIGIN.test(text) || !URL.canParse(text)) return undefined;
  const { origin } = new URL(text);
  return origin === 'null' ? text.toLowerCase() : origin;
}

/** Whether `text` is a host name (RFC 1123, section 2.1, which keeps the last label from being a number). */
function isHostName(text: string): boolean {
  const labels = text.split('.');
  return text.length <= 253 && labels.every((label) => LABEL.test(label)) && !/^[0-9]+$/.test(labels.at(-1)!);
}
