/** What to do about malformed ones, as a sentence. */
export const ESCAPES = 'Escapes are `%` and two hex digits, of UTF-8 text; a percent sign is `%25`.';

const PLAIN = /^[!-$&-~]*$/;

/** Percent-decodes text of a URL, which Node has let through only as ASCII; undefined if its escapes are malformed. */
export function decodeEscapes(text: string): string | undefined {
  if (PLAIN.test(text)) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
