import type { Command } from 'commander';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PigeonholeError, type Pigeonhole } from '../client/pigeonhole.js';
import { addServerOptions, exitCodeOf, withServer, type ServerOptions } from './api-client.js';
import { CommandError } from './exit.js';
import { isText } from './output.js';
import { showDifference } from './show-difference.js';

/** `pigeonhole edit KEY` */
export function addEditCommand(program: Command): void {
  addServerOptions(
    program
      .command('edit')
      .description(
        'Opens a value in $VISUAL or $EDITOR (default: vi), and stores it if nobody else has changed it.',
      )
      .argument('<key>'),
  )
    .addHelpText('after', '\nIf it cannot be stored, your text stays in a file, and what differs is shown.')
    .action((key: string, flags: ServerOptions) => withServer(flags, (db) => edit(db, key)));
}

async function edit(db: Pigeonhole, key: string): Promise<void> {
  const entry = await db.get(key);
  const old = entry ? await entry.bytes() : new Uint8Array();
  if (!isText(old))
    throw new CommandError('The value is not text. `pigeonhole get` and `put` take it to a file and back.');
  const folder = mkdtempSync(join(tmpdir(), 'pigeonhole-edit-'));
  const file = join(folder, 'value');
  writeFileSync(file, old, { mode: 0o600 });
  openEditor(file);
  const text = readFileSync(file) as Buffer<ArrayBuffer>;
  if (!text.equals(old)) {
    const condition = entry ? { type: entry.type, ttl: 'keep', ifMatch: entry.etag } : { create: true };
    await db.put(key, text.toString(), condition).catch((error: unknown) => keep(db, key, file, error));
    console.error(`Stored ${JSON.stringify(key)}.`);
  } else console.error('Nothing was changed.');
  rmSync(folder, { recursive: true });
}

function openEditor(file: string): void {
  const editor = process.env['VISUAL'] || process.env['EDITOR'] || 'vi';
  const { status, signal } = spawnSync('sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit' });
  if (status !== 0)
    throw new CommandError(
      `${editor} ended with ${status ?? signal}. Nothing was stored; your text is in ${file}.`,
    );
}

/** Shows what somebody else has stored meanwhile. @throws CommandError that says where the text is */
async function keep(db: Pigeonhole, key: string, file: string, error: unknown): Promise<never> {
  if (!(error instanceof PigeonholeError)) throw error;
  const saved = `Your text is in ${file}.`;
  if (error.status !== 412) throw new CommandError(`${error.detail} ${saved}`, exitCodeOf(error));
  const theirs = await (await db.get(key))?.text();
  showDifference(['stored', theirs ?? ''], ['yours', readFileSync(file)]);
  const state = theirs === undefined ? 'deleted' : 'changed';
  throw new CommandError(
    `Somebody else has ${state} ${JSON.stringify(key)} meanwhile. ${saved}`,
    exitCodeOf(error),
  );
}
