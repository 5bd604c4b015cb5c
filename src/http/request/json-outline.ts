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
  /** The index after its last byte. */
  end = 0;
  /** Whether it is a string with a backslash. */
  escaped = false;
  /** The members of an object that is shown. Of those with the same name the last is here. */
  members: Map<string, JsonNode> | undefined;
  /** The first items of an array that is shown. */
  items: JsonNode[] | undefined;
  /** How many items there are in all. */
  count = 0;

  constructor(
    readonly bytes: Buffer,
    readonly start: number,
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
    const node = this.note(start);
    node.end = end;
    node.escaped = escaped;
  }

  enter(start: number, bracket: '{' | '['): void {
    const level = this.levels[this.open.length];
    const node = this.note(start);
    if (level?.bracket !== bracket) return;
    if (bracket === '{') node.members = new Map();
    else node.items = [];
    this.open.push(node);
  }

  /** Ends the innermost container that is shown. */
  leaveShown(end: number): void {
    this.open.pop()!.end = end;
  }

  /** Ends the container that was noted last, which is not shown. */
  leave(end: number): void {
    this.noted!.end = end;
  }

  private note(start: number): JsonNode {
    const node = (this.noted = new JsonNode(this.bytes, start));
    const container = this.open.at(-1);
    if (!container) {
      this.root = node;
      return node;
    }
    const { most } = this.levels[this.open.length - 1]!;
    const { members, items } = container;
    if (items && container.count++ < most) items.push(node);
    if (members) {
      const name = this.nameText(most);
      if (members.size < most || members.has(name)) members.set(name, node);
    }
    return node;
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
