// Computes the table of growth.md: `node docs/growth.mjs` prints it.

/*
 * Measured on one redis-server 7.0 (append-only file, everysec) with 86 partitions, what falls to each of 3 primaries, and one
 * Pigeonhole server beside it, two shared cores: Redis's own processor time (INFO cpu) divided by operations, 16 clients, keys of
 * 16 to 20 bytes, values of 100; and used_memory divided by entries.
 */
const MEASURED = {
  /** µs of a primary for a read and a write of one key, each in a command of its own. */
  read: 27,
  write: 152,
  /** The same for an entry of an import. */
  imported: 25,
  /** For one partition's share of a page of 100. */
  pagePartition: 55,
  /** A second, for one partition and one Pigeonhole server: two sweeps, and a look for watchers. */
  idlePartition: 52,
  /** Bytes of an entry beside its value, and what a byte of value takes. */
  entry: 550,
  valueByte: 1.15,
};

const PARTITIONS = 256;
const VALUE = 100;
const ENTRIES = 100e6;
const SECOND = 1e6;

/** The figures for so many primaries. */
export function growth(primaries) {
  // Beyond 256 a database has to be made with more partitions, a power of two.
  const partitions = Math.max(PARTITIONS, 2 ** Math.ceil(Math.log2(primaries)));
  const each = partitions / primaries;
  return {
    primaries,
    partitions,
    reads: (primaries * SECOND) / MEASURED.read,
    writes: (primaries * SECOND) / MEASURED.write,
    pages: SECOND / (each * MEASURED.pagePartition),
    pageMs: (each * MEASURED.pagePartition) / 1000,
    idle: (each * MEASURED.idlePartition) / SECOND,
    memory: (ENTRIES * (MEASURED.entry + MEASURED.valueByte * VALUE)) / primaries,
    importMinutes: (ENTRIES * MEASURED.imported) / primaries / SECOND / 60,
  };
}

function thousands(number) {
  return number >= 10_000 ? `${Math.round(number / 1000).toLocaleString('en')} k` : String(Math.round(number));
}

export function table() {
  const head = [
    '| primaries | partitions | reads/s | writes/s | pages of 100/s | a page takes each primary | idle, for each Pigeonhole server | memory of each, 100 M entries of 100 B | importing those |',
    '|---:|---:|---:|---:|---:|---:|---:|---:|---:|',
  ];
  const rows = [1, 3, 10, 30, 100, 256, 1000].map((count) => {
    const row = growth(count);
    return `| ${[
      row.primaries,
      row.partitions,
      thousands(row.reads),
      thousands(row.writes),
      thousands(row.pages),
      `${row.pageMs.toFixed(2)} ms`,
      `${(row.idle * 100).toFixed(2)} %`,
      row.memory >= 1e9 ? `${(row.memory / 1e9).toFixed(1)} GB` : `${Math.round(row.memory / 1e6)} MB`,
      row.importMinutes >= 1 ? `${row.importMinutes.toFixed(1)} min` : `${Math.round(row.importMinutes * 60)} s`,
    ].join(' | ')} |`;
  });
  return [...head, ...rows].join('\n');
}

if (import.meta.filename === process.argv[1]) console.log(table());
