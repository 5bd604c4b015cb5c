import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A fenced block of a page. */
export interface Block {
  /** The first word after the fence; empty if there is none. */
  readonly language: string;
  readonly text: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
  /** Why the block is not run, as a comment before it says. */
  readonly notRun: string | undefined;
}

/** A page of the documentation. */
export interface DocPage {
  /** From the root of the checkout, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** Everything in Markdown that the package carries. */
export const PAGES: readonly DocPage[] = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(process.cwd(), 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
].map((path) => ({ path, text: readFileSync(join(process.cwd(), path), 'utf8') }));

/** The page at `path`. */
export function pageAt(path: string): DocPage {
  const page = PAGES.find((each) => each.path === path);
  if (!page) throw new Error(`There is no page ${path}.`);
  return page;
}

/** The fenced blocks of a page, in their order, those of its lists without their indent. */
export function blocksOf({ text }: DocPage): Block[] {
  const fenced = /^( *)(?:<!-- not run: ([^\n]+) -->\n\1)?```([a-z]*)\n([^]*?)^\1```$/gm;
  return [...text.matchAll(fenced)].map(({ 1: indent, 2: notRun, 3: language, 4: code, index }) => ({
    language: language!,
    text: code!.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    line: text.slice(0, index).split('\n').length + (notRun === undefined ? 0 : 1),
    notRun,
  }));
}

/** A page without its code, in which brackets and hashes mean something else. */
export function proseOf({ text }: DocPage): string {
  return text
    .replaceAll(/^( *)```[^]*?^\1```$/gm, '')
    .replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll(/[[\]#|]/g, ' '));
}

/** Where the links and pictures of a page lead. */
export function linksOf(page: DocPage): string[] {
  const prose = proseOf(page);
  const inline = prose.matchAll(/\]\(([^)\s]+)\)/g);
  const attributes = prose.matchAll(/\b(?:src|srcset|href)="([^"]+)"/g);
  return [...inline, ...attributes].map(([, target]) => target!);
}

/** What `#…` can lead to on a page: GitHub makes it of the headings. */
export function anchorsOf({ text }: DocPage): string[] {
  const headings = text.replaceAll(/^( *)```[^]*?^\1```$/gm, '').matchAll(/^#+ (.+)$/gm);
  return [...headings].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** The cells of the tables of a page, row by row, without heads and rules. */
export function rowsOf({ text }: DocPage): string[][] {
  return text
    .split('\n')
    .filter((line, index, lines) => line.startsWith('|') && !isRule(line) && !isRule(lines[index + 1] ?? ''))
    .map((line) =>
      line
        .slice(1, line.lastIndexOf('|'))
        .split('|')
        .map((cell) => cell.trim()),
    );
}

function isRule(line: string): boolean {
  return /^\|[-:| ]+\|$/.test(line);
}
