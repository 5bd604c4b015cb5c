import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new folder below the system's temporary one; whoever makes it removes it. */
export function makeTempFolder(): string {
  return mkdtempSync(join(tmpdir(), 'pigeonhole-test-'));
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}
