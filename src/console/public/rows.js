// Many rows of one height, of which those exist that are seen.
import { html, useLayoutEffect, useRef, useState } from './ui.js';

/** How many rows exist above and below those that are seen. */
const SPARE = 8;
/** How near to an end the next rows are asked for. */
const NEAR = 60;
const stay = () => 0;
const nothing = (_where) => {};

/**
 * @param count how many rows there are
 * @param height of one, in pixels
 * @param render makes the row of a number
 * @param shift how many rows were put before the first one since it was asked last: what is seen stays in its place
 * @param seen the number of a row to bring into view
 */
export function Rows({ count, height, render, shift = stay, seen, onNear = nothing, ...rest }) {
  const box = useRef(null);
  const [view, setView] = useState({ top: 0, height: 800 });

  const look = () => {
    const { scrollTop, clientHeight } = box.current;
    setView((before) =>
      before.top === scrollTop && before.height === clientHeight
        ? before
        : { top: scrollTop, height: clientHeight },
    );
    if (scrollTop < NEAR * height) onNear('before');
    if (scrollTop + clientHeight > (count - NEAR) * height) onNear('after');
  };
  useLayoutEffect(() => {
    const moved = shift();
    if (moved !== 0) box.current.scrollTop += moved * height;
    look();
  }, [count, shift]);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(look);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (seen === undefined || seen < 0) return;
    const { scrollTop, clientHeight } = box.current;
    if (seen * height < scrollTop) box.current.scrollTop = seen * height;
    else if ((seen + 1) * height > scrollTop + clientHeight)
      box.current.scrollTop = (seen + 1) * height - clientHeight;
  }, [seen]);

  const first = Math.max(0, Math.floor(view.top / height) - SPARE);
  const last = Math.min(count, Math.ceil((view.top + view.height) / height) + SPARE);
  const shown = Array.from({ length: Math.max(0, last - first) }, (_, i) => render(first + i));
  return html`<div class="rows" ref=${box} onScroll=${look} ...${rest}>
    <div class="rows-all" role="presentation" style=${{ height: `${count * height}px` }}>
      <div class="rows-seen" role="presentation" style=${{ transform: `translateY(${first * height}px)` }}>
        ${shown}
      </div>
    </div>
  </div>`;
}
