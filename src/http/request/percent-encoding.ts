/** Says what to do about malformed escapes, as a sentence. */
export const ESCAPES = 'Escapes are `%` and two hex digits, of UTF-8 text; a percent sign is `%25`.';

const PLAIN = /^[!-$&-~]*$/;

/** Percent-decodes text of a URL, which Node has let through only as ASCII. Returns undefined if its escapes are malformed. */
export function decodeEscapes(text: string): string | undefined {
  if (PLAIN.test(text)) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Decodes `application/x-www-form-urlencoded` text, in which a plus is a space. Returns undefined if its escapes are malformed. */
export function decodeForm(text: string): string | undefined {
  return decodeEscapes(text.includes('+') ? text.replaceAll('+', ' ') : text);
}
