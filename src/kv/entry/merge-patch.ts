import { DatabaseError } from '../../errors.js';
import { JsonNode, type OutlineLevel } from '../../http/request/json-outline.js';
import { MAX_DEPTH } from '../../http/request/json-scanner.js';
import { ManyMembers, type MemberMap } from '../../http/request/many-members.js';
import { writeCompact } from '../../http/request/json-text.js';
import { isJson } from '../../http/request/media-type.js';
import { readJson } from '../../http/request/strict-json.js';
import type { Turns } from '../../http/request/turns.js';
import type { Entry, EntryHeader } from '../../storage/entry.js';

/** A merge patch reaches objects in objects, and replaces everything else as a whole. */
const OBJECTS: readonly OutlineLevel[] = Array.from({ length: MAX_DEPTH }, () => ({
  bracket: '{',
  most: Infinity,
}));
/** Members between two chances for others. */
const MEMBERS_AT_ONCE = 256;

/** A value after the patch: as it was written, or an object with new members. */
type Merged = JsonNode | Members;
type Members = MemberMap<Merged>;

/**
 * Applies a merge patch (RFC 7396) to the value of an entry and returns the new value, compact. Values that the patch does
 * not reach into are copied as text, so no number loses a digit.
 * @throws DatabaseError `not-json`, `value-too-large` for a value of more than `maxBytes`
 */
export function* applyPatch(entry: Entry, patch: Buffer, maxBytes: number): Turns<Buffer> {
  checkEditable(entry, maxBytes);
  const { value, key } = entry;
  const target = yield* readJson(value, `The value of the key \`${key}\``, OBJECTS);
  const merged = yield* new Merge().apply(target, yield* readJson(patch, 'The patch', OBJECTS));
  // Every byte comes from one of the two.
  const out = Buffer.allocUnsafe(value.length + patch.length);
  return out.subarray(0, yield* new MergedText(out).write(merged, 0));
}

/** @throws DatabaseError `not-json`, `value-too-large` for what a patch cannot edit */
export function checkEditable({ key, type, size }: EntryHeader, maxBytes: number): void {
  if (!isJson(type)) {
    const detail = `The value of the key \`${key}\` is ${type}, not application/json.`;
    throw new DatabaseError('not-json', detail);
  }
  if (size <= maxBytes) return;
  const detail = `A value of ${size} bytes is too large for a merge patch, which takes at most ${maxBytes} (MAX_PATCH_BYTES).`;
  throw new DatabaseError('value-too-large', detail, { limit: maxBytes, setting: 'MAX_PATCH_BYTES' });
}

/** MergePatch of RFC 7396, section 2. */
class Merge {
  private done = 0;

  *apply(target: Merged | undefined, patch: JsonNode): Turns<Merged> {
    if (!patch.members) return patch;
    const members: Members = (target instanceof JsonNode ? target.members : target) ?? new ManyMembers();
    for (const [name, member] of patch.members) {
      if (++this.done % MEMBERS_AT_ONCE === 0) yield;
      if (member.isNull) members.delete(name);
      else members.set(name, yield* this.apply(members.get(name), member));
    }
    return members;
  }
}

/** Writes a merged value into a buffer that is large enough. */
class MergedText {
  private written = 0;

  constructor(private readonly out: Buffer) {}

  /** Returns the index after the text. */
  *write(value: Merged, at: number): Turns<number> {
    if (value instanceof JsonNode) return yield* writeCompact(this.out, at, value);
    let separator = '{';
    for (const [name, member] of value) {
      if (++this.written % MEMBERS_AT_ONCE === 0) yield;
      at += this.out.write(`${separator}${JSON.stringify(name)}:`, at);
      at = yield* this.write(member, at);
      separator = ',';
    }
    return at + this.out.write(value.size === 0 ? '{}' : '}', at);
  }
}
