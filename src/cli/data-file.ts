import { statSync } from 'node:fs';
import { join } from 'node:path';
import { StartError } from '../errors.js';
import { resolveFolder } from '../storage/lmdb/folder-name.js';
import { systemSentence } from './exit.js';

const LMDB = 'lmdb:';

/**
 * The folder that an argument names, as a path or as DATABASE_URL has it, which holds a data file.
 * @param advice on what else to do where it names no folder
 * @throws StartError in one line
 */
export function dataFolder(argument: string, advice = ''): string {
  if (/^[a-z+]+:/.test(argument) && !argument.startsWith(LMDB))
    throw new StartError(
      `<folder> must be the folder of a database on this machine, not ${JSON.stringify(argument)}.${advice}`,
    );
  const name = argument.startsWith(LMDB) ? argument.slice(LMDB.length) : argument;
  const folder = resolveFolder(name, '<folder>');
  if (!statSync(dataFile(folder), { throwIfNoEntry: false })?.isFile())
    throw new StartError(`${folder} holds no Pigeonhole database.`);
  return folder;
}

/** The data file in a folder. */
export function dataFile(folder: string): string {
  return join(folder, 'data.mdb');
}

/** Runs `work`; what the system refuses becomes one line, and names no setting that commands do not use. @throws StartError */
export async function inOneLine<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof StartError) throw new StartError(message.replace(/^DATABASE_URL: /, ''));
    if (code === undefined) throw error;
    throw new StartError(systemSentence(message));
  }
}
