import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { findProgram } from './requires.js';
import { temporaryFolder } from './temporary-folder.js';

/** Files in PEM. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

const NAMES = 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kv.example.com';
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** A self-signed certificate for 127.0.0.1, localhost and kv.example.com, unlike every other. */
export function newCertificate(): Certificate {
  const files = newFiles();
  const { key, cert } = files;
  openssl(
    'req',
    '-x509',
    ...NEW_KEY,
    '-subj',
    '/CN=localhost',
    '-addext',
    NAMES,
    '-keyout',
    key,
    '-out',
    cert,
  );
  return files;
}

/** A self-signed certificate whose time was over yesterday. */
export function expiredCertificate(): Certificate {
  return certificateFor(-1);
}

/** A self-signed certificate that ends in so many days. */
export function certificateFor(days: number): Certificate {
  const files = newFiles();
  sign(files, 'localhost', ['-signkey', files.key, '-days', String(days)]);
  return files;
}

let shared: Certificate | undefined;

/** One that all servers of a test file share. */
export function certificate(): Certificate {
  return (shared ??= newCertificate());
}

/** Issues certificates for clients. */
export class Authority {
  private readonly own = newCertificate();

  get cert(): string {
    return this.own.cert;
  }

  issue(name: string): Certificate {
    const files = newFiles();
    sign(files, name, ['-CA', this.own.cert, '-CAkey', this.own.key]);
    return files;
  }
}

function newFiles(): Certificate {
  const folder = temporaryFolder();
  return { key: join(folder, 'key.pem'), cert: join(folder, 'cert.pem') };
}

function sign({ key, cert }: Certificate, name: string, by: readonly string[]): void {
  openssl('req', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', key, '-out', `${cert}.request`);
  openssl('x509', '-req', '-in', `${cert}.request`, ...by, '-out', cert);
}

function openssl(...args: string[]): void {
  const program = findProgram('openssl');
  if (program === undefined) throw new Error('openssl is not installed, and TLS needs it');
  execFileSync(program, args, { stdio: 'ignore' });
}
