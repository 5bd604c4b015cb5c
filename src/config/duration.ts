const UNITS: Record<string, number> = { ms: 1, '': 1_000, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Longest duration anything takes: 100 years of 365.25 days, milliseconds. */
export const MAX_DURATION = 36_525 * UNITS['d']!;

/** The milliseconds of `500ms`, `60`, `90s`, `15m`, `2h` or `7d`; undefined for anything else, or outside 1 ms to 100 years. */
export function parseDuration(text: string): number | undefined {
  const match = /^([0-9]{1,13})(ms|[smhd]?)$/.exec(text);
  if (!match) return undefined;
  const duration = Number(match[1]) * UNITS[match[2]!]!;
  return duration >= 1 && duration <= MAX_DURATION ? duration : undefined;
}
