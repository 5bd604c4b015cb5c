import { describe, expect, test } from '@jest/globals';
import { parseHttpDate } from '../../../src/http/request/http-date.js';
import { parseTimestamp } from '../../../src/http/request/timestamp.js';
import { Random } from '../../support/random.js';

const NOW = Date.UTC(2026, 10, 26, 12);
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const ALPHABET = [...Array.from('0123456789 :,-+.TZGMTzt'), 'Feb', 'Mon', 'Sunday', 'GMT', '  '];

describe('an HTTP date', () => {
  test.each<[string, string | undefined]>([
    ['Sun, 06 Nov 1994 08:49:37 GMT', '1994-11-06T08:49:37Z'],
    ['Sunday, 06-Nov-94 08:49:37 GMT', '1994-11-06T08:49:37Z'],
    ['Sun Nov  6 08:49:37 1994', '1994-11-06T08:49:37Z'],
    ['Sun Nov 16 08:49:37 1994', '1994-11-16T08:49:37Z'],
    ['Mon, 29 Feb 2016 00:00:00 GMT', '2016-02-29T00:00:00Z'],
    ['Sat, 31 Dec 2016 23:59:60 GMT', '2017-01-01T00:00:00Z'],
    ['Sat, 01 Jan 0050 00:00:00 GMT', '0050-01-01T00:00:00Z'],
    // Two digits are at most 50 years ahead.
    ['Thursday, 01-Jan-60 00:00:00 GMT', '2060-01-01T00:00:00Z'],
    ['Thursday, 26-Nov-76 12:00:00 GMT', '2076-11-26T12:00:00Z'],
    ['Thursday, 26-Nov-76 12:00:01 GMT', '1976-11-26T12:00:01Z'],
    ['Thursday, 01-Jan-77 00:00:00 GMT', '1977-01-01T00:00:00Z'],
    ['Friday, 31-Dec-99 23:59:59 GMT', '1999-12-31T23:59:59Z'],
    ['Saturday, 01-Jan-00 00:00:00 GMT', '2000-01-01T00:00:00Z'],
    ['Foo, 01 Jan 2099 00:00:00 GMT', undefined],
    ['Mon, 31 Feb 2099 00:00:00 GMT', undefined],
    ['Mon, 29 Feb 2100 00:00:00 GMT', undefined],
    ['Mon, 00 Jan 2099 00:00:00 GMT', undefined],
    ['Thu, 01 Jan 2099 00:00:00 -0800 GMT', undefined],
    ['Thu, 01 Jan 2099 00:00:00 UTC', undefined],
    ['Thu, 01 Jan 2099 00:00:00 gmt', undefined],
    ['Thu, 01 Jan 2099 00:00:00', undefined],
    ['Thu, 01 Jan 2099 24:00:00 GMT', undefined],
    ['Thu, 01 Jan 2099 00:60:00 GMT', undefined],
    ['Thu, 01 Jan 2099 00:00:61 GMT', undefined],
    ['Thu, 1 Jan 2099 00:00:00 GMT', undefined],
    ['thu, 01 jan 2099 00:00:00 GMT', undefined],
    ['Thu,01 Jan 2099 00:00:00 GMT', undefined],
    ['01 Jan 2099 00:00:00 GMT', undefined],
    ['Thu, 01-Jan-99 00:00:00 GMT', undefined],
    ['Thursday, 01 Jan 2099 00:00:00 GMT', undefined],
    ['Thu Jan 1 00:00:00 2099', undefined],
    ['Thu Jan 01 00:00:00 2099 GMT', undefined],
    ['2099-01-01T00:00:00Z', undefined],
    ['Thu, 01 Jan 2099 00:00:00 GMT, Thu, 01 Jan 2099 00:00:00 GMT', undefined],
    ['', undefined],
  ])('%j is %s', (text, time) => {
    expect(parseHttpDate(text, NOW)).toBe(time === undefined ? undefined : Date.parse(time));
  });

  test('of its three forms and no other is read, as a writer of dates would have written it', () => {
    const random = new Random(6);
    const seen = { dates: 0, others: 0 };
    for (let i = 0; i < 6000; i++) {
      const now = random.below(200) * 31_557_600_000 + random.below(1e9);
      const date = random.pick(FORMS).write(randomMoment(random), random.pick(DAYS));
      const text = random.chance(0.4) ? date : mutated(date, random);
      const expected = httpDateOracle(text, now);
      expect({ text, now, time: parseHttpDate(text, now) }).toEqual({ text, now, time: expected });
      seen[expected === undefined ? 'others' : 'dates']++;
    }
    expect(seen.dates).toBeGreaterThan(1900);
    expect(seen.others).toBeGreaterThan(1900);
  });
});

describe('a timestamp', () => {
  test.each<[string, string | undefined]>([
    ['2030-01-31T12:00:00Z', '2030-01-31T12:00:00Z'],
    ['2030-01-31t12:00:00z', '2030-01-31T12:00:00Z'],
    ['2030-01-31T12:00:00.5Z', '2030-01-31T12:00:00.500Z'],
    ['2030-01-31T12:00:00.123999999Z', '2030-01-31T12:00:00.123Z'],
    ['2030-01-31T12:00:00+02:00', '2030-01-31T10:00:00Z'],
    ['2030-01-31T12:00:00-09:30', '2030-01-31T21:30:00Z'],
    ['2030-01-31T12:00:00-00:00', '2030-01-31T12:00:00Z'],
    ['2028-02-29T00:00:00Z', '2028-02-29T00:00:00Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00Z'],
    ['2016-12-31T15:59:60-08:00', '2017-01-01T00:00:00Z'],
    ['0099-01-01T00:00:00Z', '0099-01-01T00:00:00Z'],
    ['9999-12-31T23:59:59-00:01', undefined],
    ['0000-01-01T00:00:00+00:01', undefined],
    ['2030-01-31T12:00:00', undefined],
    ['2030-01-31', undefined],
    ['2030-02-31T12:00:00Z', undefined],
    ['2030-02-29T12:00:00Z', undefined],
    ['2030-13-01T12:00:00Z', undefined],
    ['2030-00-01T12:00:00Z', undefined],
    ['2030-01-00T12:00:00Z', undefined],
    ['2030-01-31T24:00:00Z', undefined],
    ['2030-01-31T12:60:00Z', undefined],
    ['2030-01-31T12:00:60Z', undefined],
    ['2016-12-31T23:59:60+01:00', undefined],
    ['2030-01-31T12:00Z', undefined],
    ['2030-01-31T12:00:00.Z', undefined],
    ['2030-01-31T12:00:00,5Z', undefined],
    ['2030-01-31T12:00:00+0200', undefined],
    ['2030-01-31T12:00:00+02', undefined],
    ['2030-01-31T12:00:00+24:00', undefined],
    ['2030-01-31T12:00:00+02:60', undefined],
    ['2030-01-31T12:00:00 GMT', undefined],
    ['2030-01-31 12:00:00Z', undefined],
    ['+002030-01-31T12:00:00Z', undefined],
    ['1893456000', undefined],
    ['', undefined],
  ])('%j is %s', (text, time) => {
    expect(parseTimestamp(text)).toBe(time === undefined ? undefined : Date.parse(time));
  });

  test('is read as a writer of timestamps would have written it, and nothing else is', () => {
    const random = new Random(3339);
    const seen = { times: 0, others: 0 };
    for (let i = 0; i < 6000; i++) {
      const time = writeTimestamp(randomMoment(random), random);
      const text = random.chance(0.4) ? time : mutated(time, random);
      const expected = timestampOracle(text);
      expect({ text, time: parseTimestamp(text) }).toEqual({ text, time: expected });
      seen[expected === undefined ? 'others' : 'times']++;
    }
    expect(seen.times).toBeGreaterThan(1900);
    expect(seen.others).toBeGreaterThan(1900);
  });
});

/** Year, month from 1, day, hour, minute, second. */
type Moment = readonly [number, number, number, number, number, number];

interface Form {
  readonly write: (moment: Moment, day: string) => string;
  /** The numbers of a text that has the form, by their places; whatever they come to. */
  readonly read: (text: string) => Moment;
}

/** The number of a text of digits. */
const digits = (text: string) => (/^ ?\d+$/.test(text) ? Number(text) : NaN);
const two = (number: number) => String(number).padStart(2, '0');
const clock = ([, , , hour, minute, second]: Moment) => `${two(hour)}:${two(minute)}:${two(second)}`;
const clockIn = (text: string) => [0, 3, 6].map((at) => digits(text.slice(at, at + 2)));
const monthIn = (text: string) => MONTHS.indexOf(text) + 1;

const FORMS: Form[] = [
  {
    write: (moment, day) =>
      `${day.slice(0, 3)}, ${two(moment[2])} ${MONTHS[moment[1] - 1]} ${String(moment[0]).padStart(4, '0')} ${clock(moment)} GMT`,
    read: (text) =>
      [
        digits(text.slice(12, 16)),
        monthIn(text.slice(8, 11)),
        digits(text.slice(5, 7)),
        ...clockIn(text.slice(17)),
      ] as never,
  },
  {
    write: (moment, day) =>
      `${day}, ${two(moment[2])}-${MONTHS[moment[1] - 1]}-${two(moment[0] % 100)} ${clock(moment)} GMT`,
    read: (text) => {
      const rest = text.slice(text.indexOf(',') + 2);
      return [
        digits(rest.slice(7, 9)),
        monthIn(rest.slice(3, 6)),
        digits(rest.slice(0, 2)),
        ...clockIn(rest.slice(10)),
      ] as never;
    },
  },
  {
    write: (moment, day) =>
      `${day.slice(0, 3)} ${MONTHS[moment[1] - 1]} ${String(moment[2]).padStart(2)} ${clock(moment)} ${String(moment[0]).padStart(4, '0')}`,
    read: (text) =>
      [
        digits(text.slice(20, 24)),
        monthIn(text.slice(4, 7)),
        digits(text.slice(8, 10)),
        ...clockIn(text.slice(11)),
      ] as never,
  },
];

/** A text is a date if writing what its places hold gives it again, on some day of the week. */
function httpDateOracle(text: string, now: number): number | undefined {
  for (const [index, { read, write }] of FORMS.entries()) {
    const moment = read(text);
    const asWritten = index === 2 ? text.replace(/^(\w{3} \w{3} )0(?=\d)/, '$1 ') : text;
    if (moment.some(Number.isNaN) || !DAYS.some((day) => write(moment, day) === asWritten)) continue;
    if (index !== 1) return timeOf(moment);
    const [, ...rest] = moment;
    const years = [400, 300, 200, 100, 0].map((more) => 1900 + more + moment[0]);
    const limit = new Date(now);
    limit.setUTCFullYear(limit.getUTCFullYear() + 50);
    return years
      .map((year) => timeOf([year, ...rest]))
      .find((time) => time !== undefined && time <= limit.getTime());
  }
  return undefined;
}

function writeTimestamp(moment: Moment, random: Random): string {
  const [year, month, day] = moment;
  const fraction = random.chance(0.5) ? `.${random.text(Array.from('0123456789'), 8)}0` : '';
  const offset = random.chance(0.5)
    ? random.pick(['Z', 'z'])
    : `${random.pick(['+', '-'])}${two(random.below(24))}:${two(random.below(60))}`;
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}${random.pick(['T', 't'])}${clock(moment)}${fraction}${offset}`;
}

/** Takes a text apart from its end, with as little of a pattern as can be. */
function timestampOracle(text: string): number | undefined {
  const isUtc = text.endsWith('Z') || text.endsWith('z');
  const [rest, offset] = isUtc ? [text.slice(0, -1), '+00:00'] : [text.slice(0, -6), text.slice(-6)];
  const [sign, hours, minutes] = [offset[0], digits(offset.slice(1, 3)), digits(offset.slice(4))];
  if (!'+-'.includes(sign ?? 'x') || offset !== `${sign}${two(hours)}:${two(minutes)}`) return undefined;
  if (!(hours <= 23 && minutes <= 59)) return undefined;
  const [start, fraction] = [rest.slice(0, 19), rest.slice(19)];
  if (
    fraction !== '' &&
    (fraction.length < 2 ||
      fraction[0] !== '.' ||
      Array.from(fraction.slice(1)).some((c) => !(c >= '0' && c <= '9')))
  )
    return undefined;
  const moment = [
    [0, 4],
    [5, 7],
    [8, 10],
    [11, 13],
    [14, 16],
    [17, 19],
  ].map(([from, to]) => digits(start.slice(from, to))) as never as Moment;
  const [year, month, day, , , second] = moment;
  const written = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${clock(moment)}`;
  const time = timeOf(moment);
  if (start.toUpperCase() !== written || time === undefined) return undefined;
  const utc = time - (sign === '-' ? -1 : 1) * (hours * 60 + minutes) * 60_000;
  if (utc < timeOf([0, 1, 1, 0, 0, 0])! || utc >= timeOf([9999, 12, 31, 23, 59, 60])!) return undefined;
  // The second after the last of a month is the first of another.
  if (second === 60 && (utc % 86_400_000 !== 0 || new Date(utc).getUTCDate() !== 1)) return undefined;
  return utc + Math.floor(Number(`0${fraction === '' ? '.0' : fraction}`) * 1000 + 1e-6);
}

/** The milliseconds of a moment, by counting days; undefined if there is none. */
function timeOf([year, month, day, hour, minute, second]: Moment): number | undefined {
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  if (month < 1 || month > 12 || day < 1 || day > lengths[month - 1]!) return undefined;
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const before = year - 1;
  const leaps = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400);
  const days =
    before * 365 + leaps + lengths.slice(0, month - 1).reduce((sum, length) => sum + length, 0) + day - 1;
  return (((days - 719_162) * 24 + hour) * 60 + minute) * 60_000 + second * 1000;
}

function randomMoment(random: Random): Moment {
  const end = random.chance(0.1);
  return [
    random.pick([0, 4, 99, 1600, 1900, 1970, 1994, 2000, 2024, 2026, 2030, 2100, 9999, random.below(10_000)]),
    end ? random.pick([6, 12]) : random.below(13) + (random.chance(0.97) ? 0 : 1),
    end ? random.pick([30, 31]) : random.pick([28, 29, 30, 31, 1 + random.below(28), random.below(33)]),
    end ? 23 : random.below(25),
    end ? 59 : random.below(random.chance(0.9) ? 60 : 62),
    end ? 60 : random.below(random.chance(0.9) ? 60 : 62),
  ];
}

/** The text with one or two of its characters gone, doubled or replaced. */
function mutated(text: string, random: Random): string {
  const at = random.below(text.length);
  const piece = random.pick(['', text[at]! + text[at]!, ...ALPHABET]);
  const changed = text.slice(0, at) + piece + text.slice(at + random.below(3));
  return random.chance(0.3) && changed !== '' ? mutated(changed, random) : changed;
}
