/** What an Authorization header says. */
export interface Credentials {
  readonly scheme: 'bearer' | 'basic';
  /** The text of a token, if it is one. */
  readonly token: string;
}

/** Longer than any token. */
const MAX_LENGTH = 2048;
const BEARER = /^bearer +([\x21-\x7e]+) *$/i;
const BASIC = /^basic +([\w+/-]+={0,2}) *$/i;

/**
 * Reads an Authorization header (RFC 9110, 11.6.2): Bearer (RFC 6750), or Basic with the token as the password and any or no
 * user name (RFC 7617). Returns why it has no token, as a sentence, if it has none.
 */
export function readCredentials(header: string): Credentials | string {
  if (header.length > MAX_LENGTH) return 'The Authorization header is longer than any token.';
  const bearer = BEARER.exec(header);
  if (bearer) return { scheme: 'bearer', token: bearer[1]! };
  const basic = BASIC.exec(header);
  if (!basic)
    return 'The Authorization header must be `Bearer <token>`, or Basic with the token as the password.';
  const text = Buffer.from(basic[1]!, 'base64').toString();
  const colon = text.indexOf(':');
  if (colon < 0)
    return 'The credentials have no colon: Basic takes `:<token>`, as `curl -u :<token>` sends it.';
  const token = text.slice(colon + 1);
  return token === '' ? 'The password, which is the token, is empty.' : { scheme: 'basic', token };
}
