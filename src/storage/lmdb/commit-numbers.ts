import { closeSync, openSync, readSync } from 'node:fs';

/** The number of a commit in each of the two headers of the data file, behind the header of its page (MDB_meta). */
const NUMBER_AT = 152;
const NUMBER_BYTES = 8;

/** LMDB has forgotten the last commit, and its next one would take its place (admission.ts). Nothing was applied. */
export class ForgottenCommitError extends Error {}

/** The numbers of the last two commits, as the data file itself has them. Commits write its two headers by turns. */
export class CommitNumbers {
  private readonly file: number;
  private readonly bytes = Buffer.alloc(NUMBER_BYTES);

  constructor(
    path: string,
    private readonly pageSize: number,
  ) {
    this.file = openSync(path, 'r');
  }

  /**
   * Checks that the transaction `next`, which has begun, follows the last commit: the header that it will overwrite is
   * older. It costs a read of 8 bytes.
   *
   * @throws ForgottenCommitError
   */
  check(next: number): void {
    readSync(this.file, this.bytes, 0, NUMBER_BYTES, (next % 2) * this.pageSize + NUMBER_AT);
    const last = this.bytes.readUIntLE(0, 6);
    if (next <= last) throw new ForgottenCommitError(`LMDB has forgotten commit ${last}`);
  }

  close(): void {
    closeSync(this.file);
  }
}
