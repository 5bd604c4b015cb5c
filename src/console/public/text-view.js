// Text of any length. It stands in pieces that the browser lays out only when they are seen.
import { html, useEffect, useMemo, useRef } from './ui.js';

const PIECE = 8 * 1024;
/** Colours go no further than this. */
const MOST_COLOURED = 20_000;
const KINDS = ['name', 'string', 'number', 'word'];

/** @param marks `[kind, start, end]` of what has a colour, in order */
export function TextView({ text, marks = [] }) {
  const box = useRef(null);
  const pieces = useMemo(() => piecesOf(text), [text]);
  useEffect(() => colour(box.current, pieces, marks), [pieces, marks]);
  return html`<pre class="text" ref=${box} dir="auto">
${pieces.map((piece) => html`<span class="piece">${piece.text}</span>`)}</pre>`;
}

/** Cuts at ends of lines where there are any. */
function piecesOf(text) {
  const pieces = [];
  for (let start = 0; start < text.length;) {
    const end = endOfPiece(text, start);
    pieces.push({ start, text: text.slice(start, end) });
    start = end;
  }
  return pieces;
}

function endOfPiece(text, start) {
  if (text.length - start <= PIECE) return text.length;
  const lineEnd = text.lastIndexOf('\n', start + PIECE);
  if (lineEnd >= start) return lineEnd + 1;
  const isPair = /[\ud800-\udbff]/.test(text[start + PIECE - 1]);
  return start + PIECE - (isPair ? 1 : 0);
}

/** Colours ranges of the text, without an element for each. Returns how to take that back. */
function colour(box, pieces, marks) {
  if (!CSS.highlights || marks.length === 0) return undefined;
  const ranges = Object.fromEntries(KINDS.map((kind) => [kind, []]));
  let at = 0;
  for (const [kind, start, end] of marks.slice(0, MOST_COLOURED)) {
    while (at + 1 < pieces.length && pieces[at + 1].start <= start) at++;
    const node = box.children[at].firstChild;
    const from = start - pieces[at].start;
    const to = Math.min(end - pieces[at].start, node.length);
    ranges[kind].push(
      new StaticRange({ startContainer: node, startOffset: from, endContainer: node, endOffset: to }),
    );
  }
  for (const kind of KINDS) CSS.highlights.set(`json-${kind}`, new Highlight(...ranges[kind]));
  return () => KINDS.forEach((kind) => CSS.highlights.delete(`json-${kind}`));
}
