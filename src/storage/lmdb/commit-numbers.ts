import { closeSync, openSync, readSync } from 'node:fs';

/** The number of a commit in each of the two headers of the data file, behind the header of its page (MDB_meta). */
const NUMBER_AT = 152;
const NUMBER_BYTES = 8;

/** LMDB has forgotten the last commit, and its next one would take its place (admission.ts). Nothing was applied. */
export class ForgottenCommitError extends Error {}

/** The numbers of the last two commits, as the data file itself has them. */
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
   * Checks that the transaction `next`, which has begun, follows the last commit. It costs two reads of 8 bytes.
   *
   * @throws ForgottenCommitError
   */
  check(next: number): void {
    const last = Math.max(this.at(0), this.at(this.pageSize));
    if (next <= last) throw new ForgottenCommitError(`LMDB has forgotten commit ${last}`);
  }

  close(): void {
    closeSync(this.file);
  }

  private at(page: number): number {
    readSync(this.file, this.bytes, 0, NUMBER_BYTES, page + NUMBER_AT);
    return Number(this.bytes.readBigUInt64LE());
  }
}
