import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { BUILT } from '../../built-files.js';
import { StartError } from '../../errors.js';

/** A process that has the store open beside a server, and keeps the pages of its last commit from being overwritten. */
interface Guest {
  /** How many other processes have the store open; undefined if LMDB cannot open it. */
  readonly servers: number | undefined;
  leave(): void;
}

/** Opens the store in `folder` in a process of its own, because LMDB dies of damaged files. */
export async function visit(folder: string): Promise<Guest> {
  const script = `
    const { Store } = await import(${JSON.stringify(new URL('storage/lmdb/store.js', BUILT))});
    const { askForAdmission } = await import(${JSON.stringify(new URL('storage/lmdb/admission.js', BUILT))});
    const admission = await askForAdmission(${JSON.stringify(folder)});
    const store = await Store.open(${JSON.stringify(folder)}, 'it', true);
    admission.opened();
    store.entries.useReadTransaction();
    console.log(store.peers());
    process.stdin.on('end', () => process.exit()).resume();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => undefined);
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  await Promise.race([once(child.stdout, 'data'), once(child, 'close')]);
  return { servers: /^\d+\n/.test(said) ? Number(said) : undefined, leave: () => child.stdin.end() };
}

/** Opens and closes the store in a process of its own, which makes LMDB note for all processes which commit is the last. */
export async function openInChild(folder: string): Promise<void> {
  const script = `
    const { Store } = await import(${JSON.stringify(new URL('storage/lmdb/store.js', BUILT))});
    await (await Store.open(${JSON.stringify(folder)}, 'it', true)).close();`;
  await once(spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' }), 'close');
}

/** @throws StartError if a server has the store in `folder` open */
export async function assertNoServer(folder: string): Promise<void> {
  const guest = await visit(folder);
  guest.leave();
  if (!guest.servers) return;
  throw new StartError(`A server has ${folder} open. Stop it first; nothing was changed.`);
}
