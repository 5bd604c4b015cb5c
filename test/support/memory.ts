import { readFileSync } from 'node:fs';

/** The memory of a process that is its own, in bytes: pages of a mapped file are the file's. */
export function anonymousMemory(pid: number): number {
  return Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}
