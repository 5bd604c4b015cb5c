import { ManyMembers, type MemberMap } from './many-members.js';

/*
 * Where the members of a JSON object begin and end is enough to read a line of an import, a batch or a merge patch. An
 * outline notes that for the containers it is asked to show, from the outermost inwards; a container that it does not show
 * is one value to it, whatever is inside.
 */

/** A level of an outline: the container that is shown there, and how many of its names or items are noted. */
export interface OutlineLevel {
  readonly bracket: '{' | '[';
  readonly most: number;
}

/** A name of more bytes is unknown wherever only some names are noted. */
const LONG_NAME = 1024;

/** A value in JSON text. */
export class JsonNode {
  /** The members of an object that is shown. Of those with the same name the last is here. */
  declare readonly members?: MemberMap<JsonNode>;
  /** The first items of an array that is shown. */
  declare readonly items?: JsonNode[];
  /** How many items that array has in all. */
  declare count?: number;

  constructor(
    readonly bytes: Buffer,
    readonly start: number,
    /** The index after its last byte. */
    public end = 0,
    /** Whether it is a string with a backslash. */
    readonly escaped = false,
  ) {}

  get isString(): boolean {
    return this.bytes[this.start] === 0x22;
  }

  get isNull(): boolean {
    return this.bytes[this.start] === 0x6e;
  }

  /** Returns the text of a number, true, false or null; undefined for anything else. */
  get scalar(): string | undefined {
    const first = this.bytes[this.start]!;
    const isScalar = first === 0x2d || (first >= 0x30 && first <= 0x39) || first > 0x60;
    return isScalar && first !== 0x7b ? this.bytes.toString('latin1', this.start, this.end) : undefined;
  }
}

/** An object that is shown. */
class JsonObject extends JsonNode {
  constructor(
    bytes: Buffer,
    start: number,
    override readonly members: MemberMap<JsonNode>,
  ) {
    super(bytes, start);
  }
}

/** An array that is shown. */
class JsonArray extends JsonNode {
  override readonly items: JsonNode[] = [];
  override count = 0;
}

/** Notes the values that `levels` show, in the order of the text. */
export class JsonOutline {
  /** The whole value; undefined before it begins. */
  root: JsonNode | undefined;
  /** The open containers that are shown, from the outermost on. */
  private readonly open: JsonNode[] = [];
  private noted: JsonNode | undefined;
  private nameStart = 0;
  private nameEnd = 0;
  private nameEscaped = false;

  constructor(
    private readonly bytes: Buffer,
    private readonly levels: readonly OutlineLevel[],
  ) {}

  /** How many containers are open and shown. What is deeper is not noted. */
  get depth(): number {
    return this.open.length;
  }

  name(start: number, end: number, escaped: boolean): void {
    this.nameStart = start;
    this.nameEnd = end;
    this.nameEscaped = escaped;
  }

  /** Notes a string, a number or a word. */
  value(start: number, end: number, escaped: boolean): void {
    this.note(new JsonNode(this.bytes, start, end, escaped));
  }

  enter(start: number, bracket: '{' | '['): void {
    const { bytes } = this;
    const level = this.levels[this.open.length];
    if (level?.bracket !== bracket) return this.note(new JsonNode(bytes, start));
    const shown =
      bracket === '['
        ? new JsonArray(bytes, start)
        : new JsonObject(bytes, start, level.most === Infinity ? new ManyMembers() : new Map());
    this.note(shown);
    this.open.push(shown);
  }

  /** Ends the innermost container that is shown. */
  leaveShown(end: number): void {
    this.open.pop()!.end = end;
  }

  /** Ends the container that was noted last, which is not shown. */
  leave(end: number): void {
    this.noted!.end = end;
  }

  private note(node: JsonNode): void {
    this.noted = node;
    const container = this.open.at(-1);
    if (!container) {
      this.root = node;
      return;
    }
    const { most } = this.levels[this.open.length - 1]!;
    const { members, items } = container;
    if (items && container.count!++ < most) items.push(node);
    if (members) {
      const name = this.nameText(most);
      if (most === Infinity || members.size < most || members.has(name)) members.set(name, node);
    }
  }

  private nameText(most: number): string {
    const { bytes, nameStart: start, nameEnd: end } = this;
    if (end - start > LONG_NAME && most !== Infinity)
      return bytes.toString('latin1', start, start + LONG_NAME);
    return this.nameEscaped
      ? (JSON.parse(bytes.toString('utf8', start, end)) as string)
      : bytes.toString('utf8', start + 1, end - 1);
  }
}
