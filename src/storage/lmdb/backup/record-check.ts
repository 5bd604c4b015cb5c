import { isUtf8 } from 'node:buffer';
import { MAX_STORED_KEY_BYTES } from '../../entry.js';
import { formatTag } from '../../revision.js';
import type { RawRecord } from '../fill-store.js';
import { expiryKey } from '../keys.js';
import { Segment } from '../log-segment.js';
import { decodeIfSound } from '../record.js';
import { decodeHead, FORMAT, HEAD, HEAD_BYTES, TREES, type Head } from '../store-format.js';
import { Tally } from '../tally.js';
import { BackupFault, type BackupHeader } from './backup-file.js';

/** Checks the records of a backup as they come: each by itself, and what the trees say of each other. */
export class RecordCheck {
  private last: RawRecord | undefined;
  private readonly expiring = new Tally();
  private readonly indexed = new Tally();
  private readonly log = { count: 0, bytes: 0 };
  private entries = 0;
  private head: Head | undefined;
  private format: number | undefined;

  constructor(private readonly header: BackupHeader) {}

  /** @throws BackupFault */
  add(record: RawRecord): void {
    const { last } = this;
    if (last && compare(last, record) >= 0) throw fault('its records are out of order');
    this.last = record;
    const { tree, key, value } = record;
    if (tree === 'entries') this.addEntry(key, value);
    else if (tree === 'expiry') this.indexed.add(key);
    else if (tree === 'log') this.addSegment(value);
    else if (tree === 'meta') this.addMeta(key.toString(), value);
  }

  /** @throws BackupFault */
  finish(): void {
    const { header, head, log } = this;
    if (this.entries !== header.entries)
      throw fault(`it has ${this.entries} entries, and should have ${header.entries}`);
    // An index entry too many does no harm: it goes when its time comes.
    if (this.indexed.count <= this.expiring.count && !this.indexed.equals(this.expiring))
      throw fault('its index of expiries lacks entries');
    if (
      this.format !== header.storeFormat ||
      header.position !== formatTag(head?.epoch ?? 0, head?.sequence ?? 0)
    )
      throw fault('its first line does not fit its records');
    if (head && (log.count !== head.log.count || log.bytes !== head.log.bytes))
      throw fault(`its change log has ${log.count} changes, and should have ${head.log.count}`);
  }

  private addEntry(key: Buffer, value: Buffer): void {
    this.entries++;
    const isKey = key.length > 0 && key.length <= MAX_STORED_KEY_BYTES && isUtf8(key);
    const name = key.toString();
    const entry = isKey ? decodeIfSound(name, value) : undefined;
    if (!entry) throw fault(`the entry under ${JSON.stringify(name)} fails its checksum`);
    if (entry.expires !== 0) this.expiring.add(expiryKey(entry.expires, name));
  }

  private addSegment(value: Buffer): void {
    const segment = Segment.parse(value);
    if (!segment) throw fault('a segment of its change log fails its checksum');
    this.log.count += segment.count;
    this.log.bytes += value.length;
  }

  private addMeta(name: string, value: Buffer): void {
    if (name === HEAD && value.length === HEAD_BYTES) this.head = decodeHead(value);
    if (name === FORMAT && value.length === 4) this.format = value.readUInt32LE(0);
  }
}

/** The order of the file. */
function compare(a: RawRecord, b: RawRecord): number {
  return a.tree === b.tree ? Buffer.compare(a.key, b.key) : TREES.indexOf(a.tree) - TREES.indexOf(b.tree);
}

function fault(why: string): BackupFault {
  return new BackupFault(`is damaged: ${why}`);
}
