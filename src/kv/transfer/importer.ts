import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Injectable } from '@nestjs/common';
import { AppConfig } from '../../config/app-config.js';
import { DatabaseError, type ErrorCode } from '../../errors.js';
import { giveWay } from '../../event-loop.js';
import { BodyReader } from '../../http/request/body-reader.js';
import { longestLine, MemoryBudget } from '../../http/request/memory-budget.js';
import { inTurns, type Turns } from '../../http/request/turns.js';
import { assertReached, isFailure, type BatchOperation, type Outcome } from '../../storage/operation.js';
import type { Awaitable } from '../../storage/storage-engine.js';
import type { DatabaseService } from '../database.service.js';
import { Databases } from '../databases.js';
import { parseLine, type Closing, type ImportMode, type Put } from './import-line.js';
import { LineSplitter } from './line-splitter.js';
import { contentTypeOf, essenceOf, NDJSON_TYPES } from '../../http/request/media-type.js';
import { SortedPuts, type NumberedPut } from './sorted-puts.js';

/** Operations of one commit: more objects that survive it grow the heap. */
const CHUNK_OPERATIONS = 1024;
const MAX_ERRORS = 100;
/** Bytes of a line that are digested at once. */
const DIGEST_BYTES = 64 * 1024;
const TYPES: readonly string[] = [...NDJSON_TYPES, 'application/octet-stream', 'text/plain'];
/** How long lines wait for others to be written with. */
const IDLE_MS = 1_000;
/** Holds if there is no entry yet. */
const CREATE_ONLY = { ifNoneMatch: '*' } as const;
/** The default type of `curl --data-binary`. */
const FORM = 'application/x-www-form-urlencoded';

const BOM = Buffer.from('\ufeff');

/** The errors that half a line causes. */
const CUT_OFF: readonly ErrorCode[] = ['invalid-json', 'body-too-large'];

/** What an import has done: the body of its answer. */
export interface ImportReport {
  created: number;
  updated: number;
  skipped: number;
  errors: { line: number; detail: string }[];
  errorCount: number;
  /** Whether the closing line of an export was seen, and fitted. */
  end: boolean;
}

/** Imports NDJSON as it arrives: memory does not grow with it, and each good line is one write. */
@Injectable()
export class Importer {
  constructor(
    private readonly databases: Databases,
    private readonly bodies: BodyReader,
    private readonly budget: MemoryBudget,
    private readonly config: AppConfig,
  ) {}

  /** @throws DatabaseError what ended the import, with the report so far */
  async run(
    request: IncomingMessage,
    response: ServerResponse,
    mode: ImportMode,
    dryRun: boolean,
  ): Promise<ImportReport> {
    const essence = essenceOf(contentTypeOf(request) ?? FORM);
    if (essence !== FORM && !TYPES.includes(essence)) {
      throw new DatabaseError('unsupported-type', 'An import must be sent as application/x-ndjson.');
    }
    const database = this.databases.of(request);
    // A line has no condition of its own.
    if (!dryRun) database.requireCondition(mode === 'create' ? CREATE_ONLY : undefined);
    const run = new ImportRun(database, this.budget, this.config.maxValueBytes, mode, dryRun);
    const most = longestLine(this.config.maxValueBytes);
    const lines = new LineSplitter(most, this.budget, (line, complete) => run.take(line, complete));
    let reading: Awaitable<void> = undefined;
    try {
      const read = (chunk: Buffer) => {
        reading = inTurns(lines.push(chunk));
        return reading ? reading.then(() => run.pending()) : run.pending();
      };
      await this.bodies.stream(request, response, (chunk) => {
        const writing = run.goOn();
        return writing ? writing.then(() => read(chunk)) : read(chunk);
      });
      await inTurns(lines.end());
      await run.flush();
      return run.report;
    } catch (error) {
      // What came before a failure is read and written, whatever comes of it, so that the counts end where the failure is.
      await Promise.resolve(reading).catch(() => undefined);
      await run.flush().catch(() => undefined);
      throw error instanceof DatabaseError ? error.with({ ...run.report, line: run.line }) : error;
    } finally {
      run.stop();
      lines.close();
    }
  }
}

/** One import under way: lines in, chunks of operations out. */
class ImportRun {
  readonly report: ImportReport = {
    created: 0,
    updated: 0,
    skipped: 0,
    errors: [],
    errorCount: 0,
    end: false,
  };
  /** The number of the last line taken, from 1. */
  line = 0;
  private readonly gathered: SortedPuts;
  private writing = Promise.resolve();
  /** Writes what has been gathered if nothing follows it. */
  private idleTimer: NodeJS.Timeout | undefined;
  /** Whether that has begun. */
  private isIdle = false;
  private readonly hash = createHash('sha256');
  private entries = 0;
  /** Whether `hash` has seen every byte. */
  private hashed = true;

  constructor(
    private readonly database: DatabaseService,
    budget: MemoryBudget,
    private readonly maxValueBytes: number,
    private readonly mode: ImportMode,
    private readonly dryRun: boolean,
  ) {
    this.gathered = new SortedPuts(budget);
  }

  /** Takes one line with its line end, or null for one that is too long. */
  *take(taken: Buffer | null, complete = true): Turns<void> {
    const line = this.line++ === 0 ? withoutBom(taken) : taken;
    try {
      if (line === null)
        throw new DatabaseError(
          'body-too-large',
          `A line may have at most ${longestLine(this.maxValueBytes)} bytes.`,
        );
      const parsed = yield* parseLine(line, this.maxValueBytes);
      if (parsed === undefined) return;
      if (this.report.end) throw new DatabaseError('invalid-json', 'Nothing may follow the closing line.');
      if ('end' in parsed) return this.close(parsed);
      this.entries++;
      this.add(parsed);
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.code === 'truncated') throw error;
      // Whole JSON has not been cut off, whatever else is wrong with it.
      if (!complete && CUT_OFF.includes(error.code)) {
        const detail = `The import ends in the middle of line ${this.line}: ${error.detail}`;
        throw new DatabaseError('truncated', detail);
      }
      // The closing line counts it, too.
      this.entries++;
      this.reject(this.line, error.detail);
    } finally {
      if (line) yield* this.digest(line);
      else this.hashed = false;
    }
  }

  /** Returns what the sender has to wait for: the memory is full, or others have their turn. */
  pending(): Promise<void> | undefined {
    if (this.gathered.isFull()) return this.flush();
    this.idleTimer = setTimeout(() => this.writeIdle(), IDLE_MS);
    return giveWay();
  }

  /** Goes on after `pending`. Returns what the next lines have to wait for, if anything. */
  goOn(): Promise<void> | undefined {
    clearTimeout(this.idleTimer);
    if (!this.isIdle) return undefined;
    this.isIdle = false;
    return this.writing;
  }

  stop(): void {
    clearTimeout(this.idleTimer);
  }

  /** Lines that come slowly are not kept until more come. An error waits for whoever goes on. */
  private writeIdle(): void {
    this.isIdle = true;
    this.flush().catch(() => undefined);
  }

  /** Writes what has been gathered, after the write that is under way. */
  flush(): Promise<void> {
    return (this.writing = this.writing.then(() => this.writeGathered()));
  }

  private *digest(line: Buffer): Turns<void> {
    for (let at = 0; at < line.length; at += DIGEST_BYTES) {
      if (at > 0) yield;
      this.hash.update(line.subarray(at, at + DIGEST_BYTES));
    }
  }

  private add(put: Put): void {
    const { expiry } = put;
    if (typeof expiry === 'object' && 'at' in expiry && expiry.at <= this.database.now())
      this.report.skipped++;
    else this.gathered.add(put, this.line);
  }

  private close({ count, sha256 }: Closing): void {
    if (count !== this.entries)
      throw this.misfit(`it counts ${count} entries, and there are ${this.entries} before it`);
    if (this.hashed && sha256 !== this.hash.copy().digest('hex'))
      throw this.misfit('its sha256 is not that of the lines before it');
    this.report.end = true;
  }

  private misfit(why: string): DatabaseError {
    return new DatabaseError('truncated', `The closing line ${this.line} does not fit: ${why}.`);
  }

  private async writeGathered(): Promise<void> {
    for await (const chunk of this.gathered.take(CHUNK_OPERATIONS)) await this.write(chunk);
    this.report.errors.sort((one, other) => one.line - other.line);
  }

  private async write(chunk: readonly NumberedPut[]): Promise<void> {
    const outcomes = await this.database.batch(
      chunk.map(({ put }) => this.operationOf(put)),
      false,
    );
    outcomes.forEach((outcome, index) => this.note(outcome, chunk[index]!.line));
    assertReached(outcomes);
  }

  private operationOf(put: Put): BatchOperation {
    if (this.dryRun) return { op: 'check', key: put.key, condition: CREATE_ONLY };
    return this.mode === 'create' ? { ...put, condition: CREATE_ONLY } : put;
  }

  private note(outcome: Outcome | DatabaseError, line: number): void {
    if (outcome instanceof DatabaseError) {
      if (outcome.code === 'precondition-failed') this.noteExisting();
      else if (outcome.code === 'disk-full') throw outcome;
      else if (isFailure(outcome)) return;
      else this.reject(line, outcome.detail);
    } else if (outcome.kind === 'updated') this.report.updated++;
    else this.report.created++;
  }

  private noteExisting(): void {
    if (this.mode === 'create') this.report.skipped++;
    else this.report.updated++;
  }

  private reject(line: number, detail: string): void {
    if (this.report.errorCount++ < MAX_ERRORS) this.report.errors.push({ line, detail });
  }
}

/** Editors and spreadsheets begin a file with U+FEFF, which is no part of its first line. */
function withoutBom(line: Buffer | null): Buffer | null {
  return line?.subarray(0, BOM.length).equals(BOM) ? line.subarray(BOM.length) : line;
}
