export const SLOTS = 16_384;

/** CRC-16/XMODEM, as the cluster specification has it. */
const CRC_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/** The hash slot of a text, 0 to 16383. */
export function slotOf(text: string): number {
  let crc = 0;
  for (const byte of Buffer.from(text)) crc = ((crc << 8) & 0xffff) ^ CRC_TABLE[(crc >> 8) ^ byte]!;
  return crc % SLOTS;
}

/** What of a key decides its slot: the text between the first `{` and the next `}`, if there is any; else all of it. */
export function hashTagOf(key: string): string {
  return closedTagOf(key) ?? key;
}

/** The text between the first `{` and the next `}`; undefined if there is none. */
export function closedTagOf(text: string): string | undefined {
  const open = text.indexOf('{');
  const close = open < 0 ? -1 : text.indexOf('}', open + 1);
  return close > open + 1 ? text.slice(open + 1, close) : undefined;
}
