import { utcTime } from './utc-time.js';

const TIMESTAMP =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,30}))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))$/;

/**
 * Returns the milliseconds since 1970 of a time as RFC 3339 has it, with its offset; undefined for any other text, and for
 * a time that there is not. Fractions of a millisecond are dropped.
 */
export function parseTimestamp(text: string): number | undefined {
  const match = TIMESTAMP.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as Six;
  const local = utcTime({ year, month, day, hour, minute, second });
  if (local === undefined) return undefined;
  const [fraction = '', sign, hours = '0', minutes = '0'] = match.slice(7);
  const offset = (Number(hours) * 60 + Number(minutes)) * 60_000;
  const time = sign === '-' ? local + offset : local - offset;
  const utc = new Date(time).toISOString();
  // An offset may lead out of the years that four digits can write.
  if (!/^[0-9]/.test(utc)) return undefined;
  // A leap second is the last one of a month, in UTC (RFC 3339, 5.7).
  if (second === 60 && !utc.endsWith('-01T00:00:00.000Z')) return undefined;
  return time + Number(fraction.slice(0, 3).padEnd(3, '0'));
}

type Six = [number, number, number, number, number, number];
