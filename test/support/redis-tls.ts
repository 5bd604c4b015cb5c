import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { findProgram } from './requires.js';
import { temporaryFolder } from './temporary-folder.js';

/** Files in PEM. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

let made: Certificate | undefined;

/** A self-signed certificate for 127.0.0.1, localhost and kv.example.com, which all servers of a test file share. */
export function certificate(): Certificate {
  made ??= makeCertificate(temporaryFolder());
  return made;
}

function makeCertificate(folder: string): Certificate {
  const openssl = findProgram('openssl');
  if (openssl === undefined) throw new Error('openssl is not installed, and TLS needs it');
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const names = [
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kv.example.com',
  ];
  execFileSync(openssl, [...request, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { key, cert };
}
