import { resolve } from 'node:path';
import { StartError } from '../../errors.js';

/**
 * The absolute path of the folder that a user names. A name that is a mistake, not a folder, is refused: the system would make
 * a folder of it.
 * @param setting what the name was given as, for the message
 * @throws StartError in one line
 */
export function resolveFolder(name: string, setting: string): string {
  const fault = faultOf(name);
  if (fault === undefined) return resolve(name);
  throw new StartError(`${setting}: the folder ${JSON.stringify(name)} ${fault}.`);
}

function faultOf(name: string): string | undefined {
  if (name === '') return 'has no name';
  if (name.startsWith('~')) return 'begins with `~`, which only a shell replaces; write the path out';
  if (/\p{Cc}/u.test(name)) return 'has a control character in its name';
  if (name.trim() !== name) return 'has white space before or after its name';
  if (name.includes('//')) return 'has `//` in its name; write `lmdb:/path` or `lmdb:./path`';
  return undefined;
}
