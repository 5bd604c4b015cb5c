import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Certificates } from '../../../src/http/server/certificates.js';
import { StartError } from '../../../src/errors.js';
import { newCertificate } from '../../support/certificates.js';
import { describeWhere, findProgram } from '../../support/requires.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const openssl = findProgram('openssl');

describeWhere(openssl !== undefined, 'openssl is not installed')('the files of a certificate', () => {
  const folder = temporaryFolder();
  const [good, other] = [newCertificate(), newCertificate()];
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const garbage = file('garbage.pem', 'garbage');
  const broken = file('broken.pem', readFileSync(good.cert, 'latin1').replace(/\n.{20}/, '\n!!!!'));
  const half = file('half.pem', `${readFileSync(good.cert, 'latin1')}\n${readFileSync(broken, 'latin1')}`);
  const both = file('both.pem', Buffer.concat([readFileSync(good.key), readFileSync(good.cert)]));
  const encrypted = join(folder, 'encrypted.pem');
  execFileSync(openssl!, ['pkey', '-in', good.key, '-aes256', '-passout', 'pass:x', '-out', encrypted]);
  const missing = join(folder, 'missing.pem');
  mkdirSync(join(folder, 'folder'));

  test.each([
    ['a certificate and its key', good.cert, good.key, ''],
    ['both in one file', both, both, ''],
    ['an authority for clients', good.cert, good.key, other.cert],
  ])('are taken: %s', async (_what, tlsCert, tlsKey, tlsClientCa) => {
    const { options } = await Certificates.read({ tlsCert, tlsKey, tlsClientCa });
    expect(options.requestCert).toBe(tlsClientCa !== '');
  });

  test.each([
    ['no certificate', missing, good.key, '', `TLS_CERT ${missing} cannot be read (ENOENT).`],
    ['no key', good.cert, missing, '', `TLS_KEY ${missing} cannot be read (ENOENT).`],
    ['no authority', good.cert, good.key, missing, `TLS_CLIENT_CA ${missing} cannot be read (ENOENT).`],
    ['a folder', join(folder, 'folder'), good.key, '', `TLS_CERT ${folder}/folder cannot be read (EISDIR).`],
    ['no PEM', garbage, good.key, '', `TLS_CERT ${garbage} does not hold certificates in PEM`],
    ['broken PEM', broken, good.key, '', `TLS_CERT ${broken} does not hold certificates in PEM`],
    ['a broken second certificate', half, good.key, '', `TLS_CERT ${half} does not hold certificates in PEM`],
    [
      'a key as certificate',
      good.key,
      good.key,
      '',
      `TLS_CERT ${good.key} does not hold certificates in PEM`,
    ],
    ['garbage as key', good.cert, garbage, '', `TLS_KEY ${garbage} does not hold a key in PEM`],
    ['a certificate as key', good.cert, good.cert, '', `TLS_KEY ${good.cert} does not hold a key in PEM`],
    [
      'an encrypted key',
      good.cert,
      encrypted,
      '',
      `TLS_KEY ${encrypted} is encrypted. Store the key without a passphrase`,
    ],
    [
      'garbage as authority',
      good.cert,
      good.key,
      garbage,
      `TLS_CLIENT_CA ${garbage} does not hold certificates in PEM`,
    ],
    [
      'the key of another certificate',
      good.cert,
      other.key,
      '',
      `TLS_KEY ${other.key} is not the key of the certificate in TLS_CERT ${good.cert}.`,
    ],
  ])('are refused in one line: %s', async (_what, tlsCert, tlsKey, tlsClientCa, line) => {
    const failed = await Certificates.read({ tlsCert, tlsKey, tlsClientCa }).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(StartError);
    const { message } = failed as StartError;
    expect(message.slice(0, line.length)).toBe(line);
    expect(message).toMatch(/^[^\n]+\.$/);
  });
});
