import type { Command } from 'commander';
import { readFile } from 'node:fs/promises';
import type { BatchOperation } from '../client/pigeonhole.js';
import { addServerOptions, withServer, type ServerOptions } from './api-client.js';
import { JSON_OPTION, ONCE_OPTION, type OnceFlag } from './conditions.js';
import { CommandError, EXIT } from './exit.js';
import { printRows, readInput } from './output.js';

interface Flags extends ServerOptions, OnceFlag {
  readonly pipeline?: boolean;
  readonly json?: boolean;
}

/** `pigeonhole batch [FILE]` */
export function addBatchCommand(program: Command): void {
  const command = program
    .command('batch')
    .description('Does many operations, all or nothing, and writes out a result for each.')
    .argument('[file]', 'one operation a line, an array of them or {"ops":[…]} (default: the standard input)')
    .option('--pipeline', 'each operation stands for itself')
    .option(...ONCE_OPTION)
    .option(...JSON_OPTION);
  addServerOptions(command)
    .addHelpText(
      'after',
      '\nAn operation is {"op":"put","key":"a","value":"x"}; others are check, get, incr, touch, delete.',
    )
    .action((file: string | undefined, { pipeline, json, idempotencyKey, ...flags }: Flags) =>
      withServer(flags, async (db) => {
        const { ops, atomic } = parse(
          (file === undefined ? await readInput() : await readFile(file)).toString(),
        );
        const results = await db.batch(ops, { atomic: pipeline ? false : atomic, idempotencyKey });
        const rows = results.map((result, index) => ({
          op: ops[index]!.op,
          key: ops[index]!.key,
          ...result,
        }));
        await printRows(rows, ['status', 'op', 'key', 'value', 'etag'], json);
        if (results.some(({ status }) => status >= 400)) process.exitCode = EXIT.failed;
      }),
    );
}

interface Batch {
  readonly ops: readonly BatchOperation[];
  readonly atomic?: boolean;
}

function parse(text: string): Batch {
  const whole = json(text);
  if (Array.isArray(whole)) return { ops: whole as BatchOperation[] };
  if (whole !== undefined && 'ops' in Object(whole)) return whole as Batch;
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const wrong = lines.findIndex((line) => json(line) === undefined);
  if (wrong >= 0) throw new CommandError(`Line ${wrong + 1} is not JSON.`, EXIT.usage);
  return { ops: lines.map((line) => json(line) as BatchOperation) };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
