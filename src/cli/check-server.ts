import { PigeonholeError, type Pigeonhole } from '../client/pigeonhole.js';
import { CommandError, EXIT } from './exit.js';
import { plural, print } from './output.js';
import { readExport } from './read-export.js';

const NOT_READ =
  'Indexes and the change log are not read over a URL: `pigeonhole check <folder>` does that for an embedded database.';

/** Reads every entry of a server, by an export that goes past what is damaged. */
export async function checkServer(db: Pigeonhole): Promise<void> {
  const { count, damaged = [] } = await readExport(db, { lenient: true }, 'Reading', () => undefined).catch(
    asDamage,
  );
  const whole = `${plural(count, 'entry is', 'entries are')} whole`;
  if (damaged.length === 0) return print(`Sound: ${whole} at ${db.url}. ${NOT_READ}\n`);
  process.exitCode = EXIT.failed;
  await print(damaged.map((key) => `entries, key ${JSON.stringify(key)}: its record is damaged\n`).join(''));
  await print(
    `Damaged: ${db.url} has ${plural(damaged.length, 'damaged entry', 'damaged entries')}. ${whole}, which ` +
      `\`pigeonhole export --lenient\` saves. ${NOT_READ}\n`,
  );
}

/** An export cannot go past a damaged page of the tree. */
function asDamage(error: unknown): never {
  if (!(error instanceof PigeonholeError) || !/^(corrupt|truncated)$/.test(error.code)) throw error;
  const why =
    error.code === 'corrupt' ? '' : ' Either the connection was lost, or more than an entry is damaged.';
  throw new CommandError(
    `${error.detail}${why} \`pigeonhole check <folder>\`, on the machine of the server, says more.`,
  );
}
