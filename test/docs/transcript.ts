const TAG = '[0-9a-f]{8}-[0-9a-f]{13}';
const RFC_3339 = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z';
const HTTP_DATE = '[A-Z][a-z]{2}, \\d\\d [A-Z][a-z]{2} \\d{4} \\d\\d:\\d\\d:\\d\\d GMT';
/** What differs from run to run: tags, times, and `…`, which leaves out any text of a line or, alone on it, any lines. */
const VARYING = new RegExp(
  `(?<lines>^…$)|(?<text>…)|(?<tag>${TAG})|(?<time>${RFC_3339})|(?<date>${HTTP_DATE})`,
  'gm',
);

/**
 * Compares what a page shows with what was printed. A tag of the page stands for one tag of the run throughout the page, so
 * that commands can name the tags that were shown before them.
 */
export class Transcript {
  /** Tag on the page → tag of the run. */
  private readonly tags = new Map<string, string>();

  /** A command of the page as it has to be run. */
  command(text: string): string {
    return text.replaceAll(new RegExp(TAG, 'g'), (tag) => this.tags.get(tag) ?? tag);
  }

  /** Whether `printed` is what is shown. */
  isWhole(shown: string, printed: string): boolean {
    return this.match(`^${this.pattern(shown)}$`, printed) !== undefined;
  }

  /** What follows in `printed` after all that is shown, or undefined if it does not begin with that. */
  rest(shown: string, printed: string): string | undefined {
    const begin = this.match(`^${this.pattern(shown)}(?=\\n|$)`, printed);
    return begin === undefined ? undefined : printed.slice(begin.length);
  }

  private match(pattern: string, printed: string): string | undefined {
    const match = new RegExp(pattern).exec(printed);
    for (const [group, tag] of Object.entries(match?.groups ?? {})) this.tags.set(tagOf(group), tag);
    return match?.[0];
  }

  private pattern(shown: string): string {
    const named = new Set<string>();
    let pattern = '';
    let end = 0;
    for (const match of shown.matchAll(VARYING)) {
      pattern += escaped(shown.slice(end, match.index));
      end = match.index + match[0].length;
      const { lines, text, tag, time } = match.groups!;
      if (lines) pattern += '[^]*?';
      else if (text) pattern += '[^\\n]*?';
      else if (tag) pattern += this.tagPattern(tag, named);
      else pattern += time ? RFC_3339 : HTTP_DATE;
    }
    return pattern + escaped(shown.slice(end));
  }

  private tagPattern(tag: string, named: Set<string>): string {
    const known = this.tags.get(tag);
    if (known !== undefined) return known;
    if (named.has(tag)) return `\\k<${groupOf(tag)}>`;
    named.add(tag);
    return `(?<${groupOf(tag)}>${TAG})`;
  }
}

function groupOf(tag: string): string {
  return `tag_${tag.replace('-', '_')}`;
}

function tagOf(group: string): string {
  return group.slice('tag_'.length).replace('_', '-');
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}
