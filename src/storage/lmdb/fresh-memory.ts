import type { Steps } from '../steps.js';

const PIECE_BYTES = 256 * 1024;
const PAGE_BYTES = 4096;

/**
 * Has the system provide memory, in which what is there stays.
 *
 * Problem: fresh memory for 16 MiB can take 100 ms, while a copy into memory that is there takes 5. So whoever is about to
 * fill it has it provided in steps first.
 */
export function* provide(memory: Uint8Array): Steps<void> {
  for (let at = 0; at < memory.length; at += PAGE_BYTES) {
    memory[at]! |= 0;
    if (at % PIECE_BYTES === 0) yield;
  }
}
