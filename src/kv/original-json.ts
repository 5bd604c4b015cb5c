import { isUtf8 } from 'node:buffer';
import { TEXT, type Entry } from '../storage/entry.js';

/**
 * Returns a value as the original routes show it inside JSON: text as a string, JSON as its own text so that no digit is
 * lost, anything else as a `data:` URL.
 */
function valueAsJson({ type, value }: Entry): string {
  if (type === TEXT || type.startsWith('text/')) {
    if (isUtf8(value)) return JSON.stringify(value.toString());
  } else if (type === 'application/json') {
    return value.toString();
  }
  return JSON.stringify(`data:${type.replaceAll(' ', '')};base64,${value.toString('base64')}`);
}

/** Returns `"key":value`, to stand between braces. It is built as text, so `__proto__` is a key like any other. */
export function memberAsJson(entry: Entry): string {
  return `${JSON.stringify(entry.key)}:${valueAsJson(entry)}`;
}
