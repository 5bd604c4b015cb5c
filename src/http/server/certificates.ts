import { watch, type FSWatcher } from 'node:fs';
import type { SecureContextOptions, Server } from 'node:tls';
import { Logger } from '@nestjs/common';
import { reportsForServer } from '../../config/worker.js';
import { Counter, Gauge, meter } from '../../meters.js';
import { printable } from '../request/printable.js';
import { foldersOf, readPair, type CertificateFiles, type Pair } from './certificate-files.js';

const DAY_MS = 86_400_000;
/** Whoever has written one file may be about to write the next. */
const SETTLE_MS = 200;
/** How often files are looked at in folders that cannot be watched. */
const UNWATCHED_MS = 60_000;
const EXPIRES_SOON_MS = 7 * DAY_MS;

const expiry = meter(new Gauge('tls_expiry_timestamp_seconds', 'When the certificate in use ends.', 'min'));
const refusals = meter(
  new Counter(
    'tls_refused_total',
    'Certificates that were not taken, so that the one of before stays in use.',
  ),
);

/**
 * The certificate that the server shows, its key, and the authority of the clients.
 *
 * Problem: certificates are renewed every few weeks, and a restart would cut every watch. Programs that renew them write
 * over files, rename them or swap links, and for a moment the certificate and the key do not belong together. Design: the
 * folders of the files are watched; after a change, on SIGHUP and once a day all files are read and taken together, if
 * each is what it should be and the key is that of the certificate. Guarantee: connections that are open stay as they are,
 * new ones get the new certificate, or that of before for as long as the files are wrong.
 */
export class Certificates {
  private readonly logger = new Logger('Tls');
  private server: Server | undefined;
  private watchers: FSWatcher[] = [];
  private soon: NodeJS.Timeout | undefined;
  private later: NodeJS.Timeout | undefined;
  /** One look follows the other. */
  private looking = Promise.resolve();
  /** Why the files were refused last, which is said once. */
  private refusal: string | undefined;

  private constructor(
    private readonly files: CertificateFiles,
    private pair: Pair,
  ) {}

  /** @throws StartError in one line if the files are not what they should be */
  static async read(files: CertificateFiles): Promise<Certificates> {
    return new Certificates(files, await readPair(files));
  }

  /** What a server is made with. With an authority, a client without a certificate of it is not let in. */
  get options(): SecureContextOptions & { readonly requestCert: boolean } {
    const { options } = this.pair;
    return { ...options, requestCert: options.ca !== undefined };
  }

  /** Gives `server` new files as soon as there are any, for as long as the process lives. */
  follow(server: Server): void {
    this.server = server;
    expiry.value = () => Date.parse(this.pair.certificate.validTo) / 1000;
    this.warnOfDates();
    setInterval(() => {
      this.look();
      this.warnOfDates();
    }, DAY_MS).unref();
    this.look();
  }

  /** Looks for new files because somebody asks, who is told what came of it. */
  lookAgain(): void {
    this.refusal = undefined;
    this.look(() => this.log('TLS_CERT and TLS_KEY are the same as before'));
  }

  private look(onSame: () => void = () => undefined): void {
    this.looking = this.looking.then(async () => {
      // First, so that no change comes between.
      await this.watchFolders();
      await this.take(onSame);
    });
  }

  private async take(onSame: () => void): Promise<void> {
    try {
      const pair = await readPair(this.files);
      this.refusal = undefined;
      if (pair.contents.equals(this.pair.contents)) return onSame();
      this.server?.setSecureContext(pair.options);
      this.pair = pair;
      const { subjectAltName, subject, validTo } = pair.certificate;
      this.log(
        `A new certificate is in use, for ${printable(subjectAltName ?? subject)}, valid to ${validTo}`,
      );
      this.warnOfDates();
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.refusal) refusals.value++;
      if (message !== this.refusal) this.warn(`${message} The certificate of before stays in use.`);
      this.refusal = message;
    }
  }

  /** Watches anew each time, because a folder may have been replaced, and a link may lead elsewhere. */
  private async watchFolders(): Promise<void> {
    for (const watcher of this.watchers.splice(0)) watcher.close();
    const onChange = () => {
      this.soon ??= setTimeout(() => {
        this.soon = undefined;
        this.look();
      }, SETTLE_MS).unref();
    };
    try {
      for (const folder of await foldersOf(this.files))
        this.watchers.push(watch(folder, { persistent: false }, onChange).on('error', onChange));
    } catch {
      clearTimeout(this.later);
      this.later = setTimeout(() => this.look(), UNWATCHED_MS).unref();
    }
  }

  private warnOfDates(): void {
    const { validFrom, validTo } = this.pair.certificate;
    const left = Date.parse(validTo) - Date.now();
    if (Date.parse(validFrom) > Date.now()) this.warn(`TLS_CERT is not valid before ${validFrom}.`);
    if (left <= 0) this.warn(`TLS_CERT has expired on ${validTo}: clients will refuse it.`);
    else if (left < EXPIRES_SOON_MS) this.warn(`TLS_CERT expires on ${validTo}.`);
  }

  /** Every process does the same, so that one tells. */
  private log(line: string): void {
    if (reportsForServer()) this.logger.log(line);
  }

  private warn(line: string): void {
    if (reportsForServer()) this.logger.warn(line);
  }
}
