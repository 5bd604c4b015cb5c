import { constants, createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFile, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { AppConfig } from '../../config/app-config.js';
import { StartError } from '../../errors.js';

/** Where a certificate, its key, and the certificates of the authority of the clients are, if there is one. */
export type CertificateFiles = Pick<AppConfig, 'tlsCert' | 'tlsKey' | 'tlsClientCa'>;

/** A certificate and its key, which belong together. */
export interface Pair {
  readonly certificate: X509Certificate;
  readonly options: SecureContextOptions;
  /** Everything that was read. */
  readonly contents: Buffer;
}

/** TLS 1.2 only with forward secrecy and authenticated encryption, of which the client chooses; 1.3 has nothing else. */
const PROTOCOL: SecureContextOptions = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  honorCipherOrder: false,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
};

/** A file, and the setting that names it. */
interface NamedFile {
  readonly setting: 'TLS_CERT' | 'TLS_KEY' | 'TLS_CLIENT_CA';
  readonly path: string;
}

/** Reads the files. @throws StartError in one line if one is not what it should be, or they do not belong together */
export async function readPair({ tlsCert, tlsKey, tlsClientCa }: CertificateFiles): Promise<Pair> {
  const certFile = { setting: 'TLS_CERT', path: tlsCert } as const;
  const keyFile = { setting: 'TLS_KEY', path: tlsKey } as const;
  const caFile = { setting: 'TLS_CLIENT_CA', path: tlsClientCa } as const;
  const [cert, key, ca] = await Promise.all([read(certFile), read(keyFile), tlsClientCa && read(caFile)]);
  const certificate = firstCertificate(cert, certFile);
  if (ca) firstCertificate(ca, caFile);
  if (!certificate.checkPrivateKey(privateKey(key, keyFile)))
    throw new StartError(`TLS_KEY ${tlsKey} is not the key of the certificate in TLS_CERT ${tlsCert}.`);
  const options = { ...PROTOCOL, cert, key, ...(ca && { ca }) };
  try {
    createSecureContext(options);
  } catch (error) {
    throw new StartError(`TLS_CERT ${tlsCert} cannot be used: ${(error as Error).message}.`);
  }
  return { certificate, options, contents: Buffer.concat([cert, key, ...(ca ? [ca] : [])]) };
}

/** Returns the folders in which a change may mean other files: those of links, and those that they lead to. */
export async function foldersOf({ tlsCert, tlsKey, tlsClientCa }: CertificateFiles): Promise<Set<string>> {
  const folders = new Set<string>();
  for (const path of [tlsCert, tlsKey, tlsClientCa].filter(Boolean)) {
    folders.add(dirname(path));
    // A file that is not there leads nowhere.
    folders.add(dirname(await realpath(path).catch(() => path)));
  }
  return folders;
}

async function read({ setting, path }: NamedFile): Promise<Buffer> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new StartError(`${setting} ${path} cannot be read (${error.code}).`);
  });
}

const CERTIFICATES = /-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/gs;

/** Returns the first certificate of a file, which may have several, each of which is looked at. */
function firstCertificate(pem: Buffer, { setting, path }: NamedFile): X509Certificate {
  try {
    return pem
      .toString('latin1')
      .match(CERTIFICATES)!
      .map((text) => new X509Certificate(text))[0]!;
  } catch {
    const form = 'certificates in PEM, which begin with -----BEGIN CERTIFICATE-----';
    throw new StartError(`${setting} ${path} does not hold ${form}.`);
  }
}

function privateKey(pem: Buffer, { setting, path }: NamedFile): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new StartError(
      pem.includes('ENCRYPTED')
        ? `${setting} ${path} is encrypted. Store the key without a passphrase, readable for the server alone.`
        : `${setting} ${path} does not hold a key in PEM, which begins with -----BEGIN PRIVATE KEY-----.`,
    );
  }
}
