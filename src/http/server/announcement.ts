import { Logger, type INestApplication } from '@nestjs/common';
import type { AppConfig } from '../../config/app-config.js';
import { loggedUrl } from '../../storage/engine-factory.js';
import { VERSION } from '../../version.js';
import type { FastExpressAdapter } from './fast-express.adapter.js';
import { isForPeople, writeText } from './server-log.js';

/**
 * Says that the server serves, and where: in a line of the log, or to people who read it in lines of its own.
 *
 * @param url where it listens
 * @param entries how many it has found; undefined if it cannot tell
 */
export function announce(
  app: INestApplication,
  url: string,
  config: AppConfig,
  entries: number | undefined,
): void {
  const data = loggedUrl(config.databaseUrl);
  const { workers, logLevel } = config;
  const found = entries === undefined ? '' : ` (${counted(entries)})`;
  const adapter = app.getHttpAdapter() as FastExpressAdapter;
  void adapter.answersInOneWrite.then(reportUnknownNode);
  if (isForPeople() && (logLevel === 'info' || logLevel === 'debug')) {
    const hasConsole = adapter.hasRoute('/console');
    writeText(
      banner(config.publicUrl || url, url, hasConsole, `${data.replace(/^lmdb:/, '')}${found}`, workers),
    );
  } else {
    const members = { version: VERSION, url, data, entries, workers };
    new Logger('Server').log(`Listening on ${url}, data in ${data}${found}`, members);
  }
}

function reportUnknownNode(answersInOneWrite: boolean): void {
  if (answersInOneWrite) return;
  const line = `Node ${process.version} is not one that Pigeonhole is made for: everything works, answers cost a little more`;
  new Logger('Server').log(line);
}

function counted(entries: number): string {
  return `${entries.toLocaleString('en-US')} ${entries === 1 ? 'entry' : 'entries'}`;
}

function banner(site: string, url: string, hasConsole: boolean, data: string, workers: number): string {
  const rows = [
    `Pigeonhole ${VERSION}`,
    `Listening on ${url}`,
    '',
    `  Explorer  ${site}/docs`,
    ...(hasConsole ? [`  Console   ${site}/console`] : []),
    `  Data      ${data}`,
    `  Workers   ${workers}`,
    '  Stop      Ctrl-C',
  ];
  return `\n${rows.join('\n')}\n\n`;
}
