import { describe, expect, test } from '@jest/globals';
import { mkdirSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { loadConfig } from '../../../src/config/app-config.js';
import { SETTINGS } from '../../../src/config/settings.js';
import { StartError } from '../../../src/errors.js';
import { createEngine } from '../../../src/storage/engine-factory.js';
import { ask, setPath } from '../../support/http.js';
import { runToEnd, startServer } from '../../support/server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

interface Case {
  readonly name: string;
  /** Words of the accepted form that a message has to have. */
  readonly form: string;
  readonly bad: readonly string[];
  readonly good: readonly string[];
}

const CASES: Case[] = [
  {
    name: 'HOST',
    form: 'an IP address or host name',
    bad: [
      'not a host',
      'http://localhost',
      '127.0.0.1:80',
      '*',
      'a/b',
      '-x',
      '[::1',
      '[a]',
      '[127.0.0.1]',
      '[::1]:80',
      '1.2.3',
      'a.1',
    ],
    good: ['127.0.0.1', 'localhost', '::1', '[::1]', 'LocalHost', '127.3.2.1'],
  },
  {
    name: 'PORT',
    form: 'a number from 0 to 65535',
    bad: ['abc', '-1', '65536', '4000x', '1e3', ' 80', '80.5', '0x50', '9'.repeat(400)],
    good: ['0', '1', '65535', '08080'],
  },
  {
    name: 'SCRUB_EVERY',
    form: 'a duration like 12h or 7d, or 0',
    bad: ['-1', '1.5d', 'never', '999ms', '7 d'],
    good: ['0', '1s', '60', '12h', '7d'],
  },
  {
    name: 'SHUTDOWN_DELAY',
    form: 'a duration up to 10m like 5s, or 0',
    bad: ['11m', '-1', '1.5s', 'none', '0s'],
    good: ['0', '5s', '5', '500ms', '10m'],
  },
  {
    name: 'BACKUP_EVERY',
    form: 'a duration like 30m, 24h or 7d, at least 1s',
    bad: ['999ms', '0', '-1', 'daily', '1.5h'],
    good: ['1s', '30m', '7d'],
  },
  {
    name: 'BACKUP_KEEP',
    form: 'a number from 1 to 10000',
    bad: ['0', '-1', '10001', 'all'],
    good: ['1', '10000'],
  },
  {
    name: 'ALLOW_ANONYMOUS',
    form: 'true or false',
    bad: ['yes', '1', '0', 'TRUE', 'true '],
    good: ['true', 'false'],
  },
  {
    name: 'ALLOWED_HOSTS',
    form: 'host names separated by commas',
    bad: ['a b', 'http://x', 'a,,b', '*', ',', 'a:80', 'x-', '[a]', 'a..b', `${'x'.repeat(64)}.example`],
    good: [
      'a',
      'a.example,b.example',
      'a.example , B.example.',
      '10.0.0.1',
      'x--1.xn--p1ai',
      '4.example',
      'pigeon_hole',
      '[::1]',
    ],
  },
  {
    name: 'PUBLIC_URL',
    form: 'an http or https URL like https://example.com/pigeon/, without query and fragment',
    bad: [
      'example.com',
      '/pigeon/',
      '//example.com',
      'ftp://example.com',
      'https://',
      'https://a b/',
      'https://a/?x=1',
      'https://a/#x',
      'https://u:p@a/',
      'https://a:99999',
      'https://a/?',
      'https:a',
    ],
    good: [
      'https://example.com',
      'https://example.com/pigeon/',
      'http://localhost:8080/a/b',
      'HTTPS://Example.com/ä',
    ],
  },
  {
    name: 'CORS_ORIGINS',
    form: 'origins like https://app.example separated by commas',
    bad: [
      'app.example',
      'https://app.example/',
      'https://a.example,',
      '*',
      'null',
      'https://*.example',
      'https://u@a.example',
    ],
    good: [
      'https://app.example',
      'http://localhost:8080 , https://a.example',
      'HTTPS://A.Example',
      'capacitor://localhost',
    ],
  },
  {
    name: 'TRUSTED_PROXIES',
    form: 'IP addresses and networks like 10.0.0.0/8 separated by commas',
    bad: [
      'proxy',
      '10.0.0.0/33',
      '::1/129',
      '10.0.0/8',
      '10.0.0.1/',
      '10.0.0.1/-1',
      '1.2.3.4:80',
      '[::1]',
      '*',
      '::1,',
    ],
    good: ['10.0.0.0/8', '127.0.0.1', '::1', '2001:db8::/32, 192.0.2.7', '0.0.0.0/0'],
  },
  {
    name: 'MAX_VALUE_BYTES',
    form: 'a number of bytes from 1 to 268435456',
    bad: ['0', '16MB', '-1', '268435457', '1.5', 'NaN', 'Infinity'],
    good: ['1', '268435456'],
  },
  {
    name: 'WORKERS',
    form: 'a number from 1 to 64, or auto',
    bad: ['0', '65', 'AUTO', 'two'],
    good: ['1', '64', 'auto'],
  },
  {
    name: 'MAX_SNAPSHOT_AGE',
    form: 'a duration like 90s, 10m or 2h',
    bad: ['10x', '0', '-1s', '1.5h', 's', '999999999d', 'Infinity'],
    good: ['1', '90s', '10m', '2h', '7d'],
  },
  {
    name: 'MAX_SNAPSHOT_BYTES',
    form: 'a number of bytes from 1048576 to 1099511627776, or auto',
    bad: ['1048575', '1GiB', 'AUTO', '-1', '1e9', '1099511627777'],
    good: ['auto', '1048576', '1099511627776'],
  },
  {
    name: 'LOG_LEVEL',
    form: 'one of error, warn, info, debug',
    bad: ['verbose', 'INFO', 'log', 'toString'],
    good: ['error', 'warn', 'info', 'debug'],
  },
  {
    name: 'LOG_FORMAT',
    form: 'one of auto, text, json',
    bad: ['JSON', 'logfmt', 'pretty'],
    good: ['auto', 'text', 'json'],
  },
  {
    name: 'ACCESS_LOG',
    form: 'true or false',
    bad: ['1', 'yes', 'TRUE'],
    good: ['true', 'false'],
  },
];

/** The one line that a start with these settings ends with. */
async function refusal(settings: Record<string, string>, cwd?: string): Promise<string> {
  const { code, signal, stdout, stderr } = await runToEnd({ PORT: '0', ...settings }, cwd);
  expect({ code, signal }).toEqual({ code: 1, signal: null });
  expect(stdout).not.toContain('Listening');
  expect(stderr).toMatch(/^pigeonhole: [^\n]+\n$/);
  return stderr;
}

describe.each(CASES)('the setting $name', ({ name, form, bad, good }) => {
  test.each(bad)('is not %j, and the message says what it may be', (value) => {
    const load = () => loadConfig({ [name]: value });
    expect(load).toThrow(StartError);
    expect(load).toThrow(`${name} must be ${form}, not ${JSON.stringify(value)}.`);
  });

  test.each(good)('may be %j', (value) => {
    expect(() => loadConfig({ [name]: value })).not.toThrow();
  });

  test('does not count when it is empty', () => {
    expect(loadConfig({ [name]: '' })).toEqual(loadConfig({}));
  });

  test('ends the start in one line when it is bad', async () => {
    expect(await refusal({ [name]: bad[0]! })).toContain(
      `${name} must be ${form}, not ${JSON.stringify(bad[0])}`,
    );
  });
});

describe('the declaration of a setting', () => {
  test.each(Object.values(SETTINGS))(
    '$name has a default of its form, and one line that says what it does',
    (setting) => {
      expect(setting.parse(setting.default)).toBeDefined();
      expect(setting.meaning).toMatch(/^[A-Z][^\n]*\.$/);
    },
  );
});

test('hosts and origins are kept as clients send them', () => {
  const { host, allowedHosts, corsOrigins } = loadConfig({
    HOST: '[::1]',
    ALLOWED_HOSTS: 'Pigeon_Hole,B.Example.',
    CORS_ORIGINS:
      'HTTPS://App.Example:443, http://LOCALHOST:5173, https://bücher.example, Capacitor://Localhost',
  });
  expect(host).toBe('::1');
  expect(allowedHosts).toEqual(['pigeon_hole', 'b.example']);
  expect(corsOrigins).toEqual([
    'https://app.example',
    'http://localhost:5173',
    'https://xn--bcher-kva.example',
    'capacitor://localhost',
  ]);
});

describe('the defaults', () => {
  test('are those of the README', () => {
    expect(loadConfig({})).toEqual({
      host: '127.0.0.1',
      port: 4000,
      databaseUrl: 'lmdb:./data',
      adminToken: '',
      adminTokenFile: '',
      allowAnonymous: false,
      allowedHosts: [],
      publicUrl: '',
      tlsCert: '',
      tlsKey: '',
      tlsClientCa: '',
      backupTo: '',
      backupEvery: 86_400_000,
      backupKeep: 7,
      scrubEvery: 7 * 86_400_000,
      shutdownDelay: 0,
      trustedProxies: [],
      corsOrigins: [],
      maxValueBytes: 16 * 1024 * 1024,
      maxPatchBytes: 1024 * 1024,
      maxSnapshotAge: 10 * 60 * 1000,
      maxSnapshotBytes: 'auto',
      maxWatchers: 1000,
      watchLogBytes: 64 * 1024 * 1024,
      idempotencyTtl: 86_400_000,
      idempotencyBytes: 16 * 1024 * 1024,
      waitReplicas: 0,
      workers: 1,
      logLevel: 'info',
      logFormat: 'auto',
      accessLog: false,
    });
  });

  test('keep the data in ./data, on loopback, with no line on stderr', async () => {
    const folder = temporaryFolder();
    const server = await startServer({ DATABASE_URL: '' }, folder);
    expect((await ask(server.port, setPath('a', '1'))).status).toBe(201);
    expect(readdirSync(folder)).toEqual(['data']);
    expect(server.output().stdout).toContain(`http://127.0.0.1:${server.port}`);
    expect(server.output().stderr).toBe('');
    await server.end();
  });

  test('are found again, and the log says where they are and how many', async () => {
    const folder = realpathSync(temporaryFolder());
    for (const found of ['0 entries', '1 entry', '1,002 entries']) {
      const server = await startServer({ DATABASE_URL: 'lmdb:./here' }, folder);
      const where = `Listening on http://127.0.0.1:${server.port}, data in lmdb:${folder}/here (${found})`;
      expect(server.output().stdout).toContain(where);
      const lines = Array.from(
        { length: found === '1 entry' ? 1001 : 1 },
        (_, i) => `{"key":"${found}${i}","value":"v"}\n`,
      );
      const { status } = await ask(server.port, '/kv', {
        method: 'POST',
        body: lines.join(''),
        headers: { 'Content-Type': 'application/x-ndjson' },
      });
      expect(status).toBe(200);
      await server.end('SIGTERM');
    }
  });
});

describe('TLS by halves', () => {
  test.each([
    [{ TLS_CERT: 'a' }, 'TLS_CERT needs TLS_KEY, too: a certificate and its key belong together.'],
    [{ TLS_KEY: 'a' }, 'TLS_KEY needs TLS_CERT, too: a certificate and its key belong together.'],
    [
      { TLS_CLIENT_CA: 'a' },
      'TLS_CLIENT_CA needs TLS_CERT and TLS_KEY: only over TLS do clients show certificates.',
    ],
  ])('is refused: %j', (settings, line) => {
    expect(() => loadConfig(settings)).toThrow(new StartError(line));
  });
});

describe('a start that cannot succeed', () => {
  test('names a PORT that is in use', async () => {
    const other = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo;
    const line = await refusal({ PORT: String(port), DATABASE_URL: 'memory:' });
    expect(line).toContain(`PORT ${port} on 127.0.0.1 is in use`);
    other.close();
  });

  test('names a HOST that is not of this machine', async () => {
    const settings = { HOST: '192.0.2.1', ALLOW_ANONYMOUS: 'true', DATABASE_URL: 'memory:' };
    expect(await refusal(settings)).toContain('HOST 192.0.2.1 is not an address of this machine');
  });

  test.each(['mysql://x', 'lmdb', 'lmdb:', './data', 'LMDB:./data', 'memory:x', 'toString:x'])(
    'names a DATABASE_URL of no known form: %s',
    async (url) => {
      const settings = {
        maxSnapshotAge: 1000,
        watchLogBytes: 65_536,
        waitReplicas: 0,
        onFailure: () => {},
        report: () => {},
      };
      await expect(createEngine(url, settings)).rejects.toThrow('DATABASE_URL must be one of lmdb:<folder>');
    },
  );

  test('says in one line what a DATABASE_URL may be', async () => {
    expect(await refusal({ DATABASE_URL: 'mysql://x' })).toContain(
      'DATABASE_URL must be one of lmdb:<folder>',
    );
  });

  test('leaves a folder of something else as it is', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'photos'));
    writeFileSync(join(folder, 'letter.txt'), 'dear');
    expect(await refusal({ DATABASE_URL: `lmdb:${folder}` })).toContain(folder);
    expect(readdirSync(folder).sort()).toEqual(['letter.txt', 'photos']);
  });

  test('names a data folder that is a file', async () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, 'text');
    expect(await refusal({ DATABASE_URL: `lmdb:${file}` })).toContain(file);
  });
});
