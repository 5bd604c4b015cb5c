const TIME = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
const MINUTE = 60_000;
const LAST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/**
 * Returns the milliseconds since 1970 of a time such as `2030-01-31T12:00:00Z` or `2030-01-31T14:00:00.5+02:00`
 * (RFC 3339, 5.6). Undefined for any other form, without an offset too, and for dates and times that do not exist:
 * none is moved to another day. A fraction finer than a millisecond is cut off.
 */
export function parseTime(text: string): number | undefined {
  const match = TIME.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, fraction = '', sign, offsetHour = 0, offsetMinute = 0] =
    match;
  if (+hour! > 23 || +minute! > 59 || +second! > 59 || +offsetHour > 23 || +offsetMinute > 59)
    return undefined;
  const local = new Date(0);
  local.setUTCFullYear(+year!, +month! - 1, +day!);
  if (local.getUTCMonth() !== +month! - 1 || local.getUTCDate() !== +day!) return undefined;
  local.setUTCHours(+hour!, +minute!, +second!, +fraction.padEnd(3, '0').slice(0, 3));
  const offset = (+offsetHour * 60 + +offsetMinute) * MINUTE;
  const time = local.getTime() - (sign === '-' ? -offset : offset);
  return time <= LAST ? time : undefined;
}
