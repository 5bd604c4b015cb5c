import { loadConfig } from '../config/app-config.js';
import { DatabaseError, StartError } from '../errors.js';
import { dataFolder, inOneLine } from './data-file.js';
import { printToken } from './output.js';

export interface TokenFlags {
  readonly namespace: string;
  readonly can: string;
  readonly ttl?: string;
  readonly note: string;
}

/** Makes a token in the data folder of a server that is stopped, and writes it out. @throws StartError */
export async function createInFolder(folder: string, flags: TokenFlags): Promise<void> {
  await import('reflect-metadata');
  await inOneLine(async () => {
    try {
      await printToken(await create(dataFolder(folder), flags));
    } catch (error) {
      throw error instanceof DatabaseError ? new StartError(error.detail) : error;
    }
  });
}

/** Returns the text of the new token. */
async function create(data: string, flags: TokenFlags): Promise<string> {
  const { createEngine } = await import('../storage/engine-factory.js');
  const { Authenticator } = await import('../auth/authenticator.js');
  const { Tokens } = await import('../auth/tokens.js');
  const { readTokenRequest } = await import('../auth/token-request.js');
  const { namespace, ttl, note } = flags;
  const request = readTokenRequest({
    namespace,
    ttl,
    note,
    can: flags.can.split(',').map((right) => right.trim()),
  });
  const config = loadConfig({});
  const { maxSnapshotAge, watchLogBytes, waitReplicas } = config;
  const engine = await createEngine(`lmdb:${data}`, {
    maxSnapshotAge,
    maxSnapshotBytes: Infinity,
    watchLogBytes,
    waitReplicas,
    onFailure: (error) => {
      throw error;
    },
    report: (line) => console.error(line),
  });
  await engine.open();
  try {
    const authenticator = new Authenticator(engine, config);
    await authenticator.look();
    return (await new Tokens(authenticator, engine).create(authenticator.open, request)).text;
  } finally {
    await engine.close();
  }
}
