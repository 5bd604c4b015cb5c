import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { FakeTime } from './fake-time.js';
import { compilePreload } from './machine.js';
import { temporaryFolder } from './temporary-folder.js';

const folder = temporaryFolder();
const library = compilePreload('server-time', folder);

/** Whether the clock of a server can be set here. */
export const canSetServerTime = library !== undefined;
export const WHY_NOT = 'there is no gcc to make a clock that can be set';

/** The clock of servers that are started with `env`. It shows the true time until it is set, and then stands still. */
export class ServerTime {
  private static count = 0;
  private readonly file = join(folder, `time-${ServerTime.count++}`);
  readonly env = { LD_PRELOAD: library!, SERVER_TIME: this.file };

  constructor() {
    writeFileSync(this.file, Buffer.alloc(8));
  }

  /** @param time milliseconds since 1970; 0 for the true time */
  set(time: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(time) * 1000n);
    const file = openSync(this.file, 'r+');
    writeSync(file, bytes, 0, 8, 0);
    closeSync(file);
  }

  follow(time: FakeTime): void {
    time.onMove = (wall) => this.set(wall);
    this.set(time.wall);
  }
}
