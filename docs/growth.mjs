// Computes the table of growth.md: `node docs/growth.mjs` prints it.

/*
 * Measured by test/bench/scale-out.mjs on 3 primaries of redis-server 7.0 (append-only file, everysec) with 256 partitions and
 * one Pigeonhole server beside them, two shared cores: processor time by /proc divided by operations, medians, 16 clients,
 * keys of 12 bytes, values of 100; and what INFO says of memory, divided by entries.
 */
const MEASURED = {
  /** µs of Pigeonhole, and of all primaries together, for one of each, each in a request of its own. */
  operations: {
    '`GET`': [59, 14],
    '`PUT`': [130, 98],
    '`PATCH ?incr=1`': [107, 97],
    'page of 100': [1921, 3547],
    'prefix of ten': [900, 1871],
    'prefix of nothing': [748, 1008],
    'entry of an import': [33, 37],
  },
  /** µs a second, for one partition and one Pigeonhole server: a sweep, and a look for watchers. */
  idlePartition: 98,
  /** Bytes of an entry beside its value, and what a byte of value takes. */
  entry: 550,
  valueByte: 1.15,
};

const PARTITIONS = 256;
const VALUE = 100;
const ENTRIES = 100e6;
const SECOND = 1e6;

/** The figures for so many primaries: what they can do, one kind of operation alone. */
export function growth(primaries, entries = ENTRIES) {
  const { operations, idlePartition, entry, valueByte } = MEASURED;
  const rate = (name) => (primaries * SECOND) / operations[name][1];
  return {
    primaries,
    reads: rate('`GET`'),
    writes: rate('`PUT`'),
    pages: rate('page of 100'),
    idle: (PARTITIONS * idlePartition) / primaries / SECOND,
    memory: (entries * (entry + valueByte * VALUE)) / primaries,
    importMinutes: entries / rate('entry of an import') / 60,
  };
}

/** What each operation takes of both processes. */
export function costs() {
  const rows = Object.entries(MEASURED.operations).map(([name, [own, redis]]) => {
    const cells = [name, thousandsOf(own), thousandsOf(redis), (own / redis).toFixed(1)];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    '| | Pigeonhole, µs | Redis, µs | processors of Pigeonhole for each one of Redis |',
    '|---|---:|---:|---:|',
    ...rows,
  ].join('\n');
}

function thousandsOf(number) {
  return number.toLocaleString('en');
}

function thousands(number) {
  return number >= 10_000 ? `${Math.round(number / 1000).toLocaleString('en')} k` : String(Math.round(number));
}

export function table() {
  const head = [
    '| primaries | reads/s | writes/s | pages of 100/s | idle, for each Pigeonhole server | memory of each, 100 M entries of 100 B | importing those |',
    '|---:|---:|---:|---:|---:|---:|---:|',
  ];
  const rows = [1, 3, 10, 30, 100, 256].map((count) => {
    const row = growth(count);
    return `| ${[
      row.primaries,
      thousands(row.reads),
      thousands(row.writes),
      thousands(row.pages),
      `${(row.idle * 100).toFixed(2)} %`,
      row.memory >= 1e9 ? `${(row.memory / 1e9).toFixed(1)} GB` : `${Math.round(row.memory / 1e6)} MB`,
      row.importMinutes >= 1 ? `${row.importMinutes.toFixed(1)} min` : `${Math.round(row.importMinutes * 60)} s`,
    ].join(' | ')} |`;
  });
  return [...head, ...rows].join('\n');
}

if (import.meta.filename === process.argv[1]) console.log(`${costs()}\n\n${table()}`);
