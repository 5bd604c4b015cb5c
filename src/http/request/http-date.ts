import { utcTime, type Moment } from './utc-time.js';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)';
const LONG_DAY = '(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day';
const MONTH = `(?<month>${MONTHS.join('|')})`;
const CLOCK = '(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)';

/** IMF-fixdate, the form of RFC 850, and that of asctime(), which names no zone and is GMT too. */
const FORMS = [
  `${DAY}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${CLOCK} GMT`,
  `${LONG_DAY}, (?<day>\\d\\d)-${MONTH}-(?<shortYear>\\d\\d) ${CLOCK} GMT`,
  `${DAY} ${MONTH} (?<day>\\d\\d| \\d) ${CLOCK} (?<year>\\d{4})`,
].map((form) => new RegExp(`^${form}$`));

const MOST_YEARS_AHEAD = 50;

/**
 * Returns the milliseconds since 1970 of an HTTP date, in one of its three forms (RFC 9110, 5.6.7); undefined for any other
 * text, and for a date that no calendar has. Whether the name of the day fits the date is not checked.
 * @param now decides which century two digits of a year mean: at most 50 years ahead
 */
export function parseHttpDate(text: string, now: number): number | undefined {
  for (const form of FORMS) {
    const parts = form.exec(text)?.groups;
    if (!parts) continue;
    const { year, shortYear, day, hour, minute, second } = parts;
    const month = MONTHS.indexOf(parts['month']!) + 1;
    const moment = {
      month,
      day: Number(day),
      hour: Number(hour),
      minute: Number(minute),
      second: Number(second),
    };
    if (shortYear !== undefined) return latestOf(moment, Number(shortYear), now);
    return utcTime({ ...moment, year: Number(year) });
  }
  return undefined;
}

/** Returns the last time that is at most 50 years ahead, of the years that end with two digits. */
function latestOf(moment: Omit<Moment, 'year'>, shortYear: number, now: number): number | undefined {
  const limit = new Date(now);
  limit.setUTCFullYear(limit.getUTCFullYear() + MOST_YEARS_AHEAD);
  const century = limit.getUTCFullYear() - (limit.getUTCFullYear() % 100);
  const time = utcTime({ ...moment, year: century + shortYear });
  if (time !== undefined && time <= limit.getTime()) return time;
  return utcTime({ ...moment, year: century - 100 + shortYear });
}
