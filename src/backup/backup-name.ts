const NAME = /^pigeonhole-(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3}Z)\.backup$/;

/** Returns the name of the file of a backup that was made at `time`, ms since 1970. Names sort by time. */
export function backupName(time: number): string {
  return `pigeonhole-${new Date(time).toISOString().replaceAll(':', '-')}.backup`;
}

/** Returns the time in such a name; undefined if it is not one. */
export function timeOf(name: string): number | undefined {
  const [, day, hour, minute, second] = NAME.exec(name) ?? [];
  const time = day === undefined ? NaN : Date.parse(`${day}T${hour}:${minute}:${second}`);
  return Number.isNaN(time) ? undefined : time;
}
