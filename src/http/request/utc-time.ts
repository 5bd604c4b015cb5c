/** The parts of a moment in UTC; months count from 1. */
export interface Moment {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

/**
 * Returns the milliseconds since 1970 of a moment, and undefined for one that there is not, such as the 31st of February:
 * `Date` would move it. Second 60 is the second after 59, as on a clock that knows no leap seconds.
 */
export function utcTime({ year, month, day, hour, minute, second }: Moment): number | undefined {
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  // Date.UTC would take the years 0 to 99 for those of the twentieth century.
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  return date.setUTCHours(hour, minute, second);
}
