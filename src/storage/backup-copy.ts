/** Where a backup is to be written. */
export interface BackupTarget {
  /** An open, empty file, to be read and written. */
  readonly descriptor: number;
  /** A folder on the same disk. */
  readonly folder: string;
}

/** A backup. */
export interface BackupCopy {
  /** The open file. */
  readonly descriptor: number;
  /** When its instant was, milliseconds since 1970 by the computer's clock. */
  readonly made: number;
  /** Size of the file. */
  readonly bytes: number;
  readonly entries: number;
  /** The last change that it has. */
  readonly position: string;
  /** Digest of the file, in base64. */
  readonly sha256: string;
  /** Says that the copy is needed no longer. */
  release(): void;
}
