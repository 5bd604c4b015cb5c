export const SLOT_COUNT = 16_384;

/** The table of CRC-16/XMODEM (Redis cluster specification, appendix A). */
const CRC_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/** The hash slot of a text without a hash tag, 0 to 16383. */
export function slotOf(text: string): number {
  let crc = 0;
  for (const byte of Buffer.from(text)) crc = ((crc << 8) & 0xffff) ^ CRC_TABLE[(crc >> 8) ^ byte]!;
  return crc % SLOT_COUNT;
}

/** The part of a key that decides its slot: its hash tag, or else all of it. */
export function hashedPartOf(key: string): string {
  return hashTagOf(key) ?? key;
}

/** The text between the first `{` and the next `}`; undefined if there is none. */
export function hashTagOf(text: string): string | undefined {
  const open = text.indexOf('{');
  const close = open < 0 ? -1 : text.indexOf('}', open + 1);
  return close > open + 1 ? text.slice(open + 1, close) : undefined;
}
