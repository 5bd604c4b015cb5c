// What every component needs, from one place.
import { h } from 'preact';
import htm from 'htm';

/** Makes elements of a template; what stands in `${}` is data and never markup. */
export const html = htm.bind(h);

export { Fragment, render } from 'preact';
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
export { batch, computed, effect, signal } from '@preact/signals';
