import fc from 'fast-check';

const MAX_KEY_BYTES = 1024;

/** Any well-formed text of 1 to 1024 bytes of UTF-8: all of Unicode, from short to as long as it may be. */
export function anyKey(): fc.Arbitrary<string> {
  const short = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 });
  const long = fc.string({ unit: 'binary', minLength: 1, maxLength: MAX_KEY_BYTES, size: 'max' });
  const path = fc.array(fc.constantFrom('.', '..', '/', '//', '%', '%2F', '?', '#', '+', ' ', '\\', 'a'), {
    minLength: 1,
    maxLength: 8,
  });
  return fc.oneof(
    short,
    long.map(cut),
    path.map((parts) => parts.join('')),
  );
}

function cut(text: string): string {
  let bytes = 0;
  let kept = '';
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > MAX_KEY_BYTES) break;
    kept += character;
  }
  return kept;
}
