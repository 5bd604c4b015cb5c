import type { HistoryPage, PastChange } from '../../storage/past.js';
import { LOGGED_VALUE_BYTES } from '../../storage/storage-engine.js';
import { timestamp, typeJson, valueMember } from '../entry-json.js';

/** Yields the JSON of a page of a history, a change at a time. @param isKnown which makers of changes who asks may know of */
export function* historyParts(
  { changes, next, isCut }: HistoryPage,
  values: boolean,
  isKnown: (id: string) => boolean,
): Generator<string> {
  yield '{"items":[';
  for (const [i, change] of changes.entries()) yield (i > 0 ? ',' : '') + changeJson(change, values, isKnown);
  yield `],"next":${JSON.stringify(next ?? null)}${isCut ? ',"cut":true' : ''}}\n`;
}

function changeJson(change: PastChange, values: boolean, isKnown: (id: string) => boolean): string {
  const { etag, kind, time, by, entry } = change;
  const maker = by !== undefined && isKnown(by) ? JSON.stringify(by) : 'null';
  const what = entry ? `"type":${typeJson(entry.type)},"size":${entry.size}` : '"type":null,"size":null';
  const value = values && entry && entry.size <= LOGGED_VALUE_BYTES ? `,${valueMember(change.value!)}` : '';
  return `{"etag":"${etag}","kind":"${kind}","time":"${timestamp(time)}","by":${maker},${what}${value}}`;
}
