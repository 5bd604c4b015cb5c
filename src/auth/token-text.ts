import { hash, randomInt, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';

/*
 * The form of a token: `pgh_<id>_<secret><check>`, all of base62. The id is public. The secret has 131 random bits. The check is
 * the CRC-32 of what comes before it, so that a typo is told without a look-up, and a leaked token is found by scanners.
 */

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ID_LENGTH = 12;
const SECRET_LENGTH = 22;
const CHECK_LENGTH = 6;
const FORM = new RegExp(
  `^(pgh_([0-9A-Za-z]{${ID_LENGTH}})_[0-9A-Za-z]{${SECRET_LENGTH}})([0-9A-Za-z]{${CHECK_LENGTH}})$`,
);

/** Returns an id that no other token has. */
export function newId(): string {
  return random(ID_LENGTH);
}

/** Returns the text of a token with a new secret. */
export function newTokenText(id: string): string {
  const start = `pgh_${id}_${random(SECRET_LENGTH)}`;
  return start + checkOf(start);
}

/** Returns the id that a text names; undefined if it is not of the form, or its check is wrong. */
export function idIn(text: string): string | undefined {
  const [, start, id, check] = FORM.exec(text) ?? [];
  return start !== undefined && checkOf(start) === check ? id : undefined;
}

/** Returns what is stored of a token instead of it: its SHA-256, in base64url. */
export function digestOf(text: string): string {
  return hash('sha256', text, 'base64url');
}

/** Compares two digests without telling by the time it takes where they differ. */
export function isSameDigest(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(one), Buffer.from(other));
}

function random(length: number): string {
  let text = '';
  while (text.length < length) text += DIGITS[randomInt(DIGITS.length)];
  return text;
}

function checkOf(start: string): string {
  let rest = crc32(start);
  let check = '';
  for (let i = 0; i < CHECK_LENGTH; i++) {
    check = DIGITS[rest % DIGITS.length] + check;
    rest = Math.floor(rest / DIGITS.length);
  }
  return check;
}
