import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { StartError } from '../../../src/errors.js';
import { ask } from '../../support/http.js';
import { startCluster, type RedisCluster } from '../../support/redis-cluster.js';
import { REDIS_PROGRAM } from '../../support/redis-program.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { builtServer, runToEnd, startServer, type ServerProcess } from '../../support/server.js';
import { within } from '../migration/migrate.cases.js';

const PASSWORD = 'ge/heim%@';
const ESCAPED = encodeURIComponent(PASSWORD);

beforeAll(() => void builtServer());

/** Starts a server that must refuse with one line and show no password; returns the line. */
async function refusalOfServer(DATABASE_URL: string): Promise<string> {
  const { code, stdout, stderr } = await runToEnd({ PORT: '0', DATABASE_URL });
  expect({ code, lines: stderr.split('\n').length - 1, stderr }).toEqual({ code: 1, lines: 1, stderr });
  for (const secret of [PASSWORD, ESCAPED]) expect(stdout + stderr).not.toContain(secret);
  expect(stdout).not.toContain('Listening');
  return stderr;
}

/** Opens a database, which must be refused as above, with nothing written to `servers`; returns the line. */
async function refusal(
  { DATABASE_URL }: { readonly DATABASE_URL: string },
  ...servers: readonly RedisServer[]
): Promise<string> {
  const before = await contentsOf(servers);
  const error = await within(DATABASE_URL, async () => undefined).catch((reason: Error) => reason);
  expect(error).toBeInstanceOf(StartError);
  const line = error!.message;
  for (const secret of [PASSWORD, ESCAPED, '\n']) expect(line).not.toContain(secret);
  expect(await contentsOf(servers)).toEqual(before);
  return line;
}

function contentsOf(servers: readonly RedisServer[]): Promise<string[]> {
  return Promise.all(servers.map((server) => server.cli('KEYS', '*')));
}

async function expectToServe(settings: Record<string, string>): Promise<void> {
  const server: ServerProcess = await startServer(settings);
  const put = await ask(server.port, '/kv/a', { method: 'PUT', body: 'x' });
  expect(put.status).toBe(201);
  expect((await ask(server.port, '/kv/a')).text).toBe('x');
  const { code } = await server.end('SIGTERM');
  expect(code).toBe(0);
  const { stdout, stderr } = server.output();
  expect(stderr).toBe('');
  for (const secret of [PASSWORD, ESCAPED]) expect(stdout).not.toContain(secret);
}

describe('a malformed URL of Redis', () => {
  test.each([
    'redis:',
    `redis://:${PASSWORD}@host`,
    `redis://:${ESCAPED}@a:1,b:2`,
    `redis+cluster://:${ESCAPED}@host:1/2`,
  ])('is refused with the accepted forms: %s', async (DATABASE_URL) => {
    const line = await refusalOfServer(DATABASE_URL);
    expect(line).toContain('DATABASE_URL must be one of');
    for (const form of ['redis[s]://', 'redis[s]+cluster://', 'host:port']) expect(line).toContain(form);
  });
});

describe('a Redis that cannot be reached', () => {
  test.each([
    [
      `redis://:${ESCAPED}@127.0.0.1:1`,
      'Redis at 127.0.0.1:1 cannot be used: connect ECONNREFUSED 127.0.0.1:1.',
    ],
    [`rediss://:${ESCAPED}@[::1]:1`, 'Redis at [::1]:1 cannot be used: connect ECONNREFUSED ::1:1.'],
    [
      `redis+cluster://:${ESCAPED}@127.0.0.1:1,127.0.0.1:2`,
      'Redis at 127.0.0.1:1, 127.0.0.1:2 cannot be used: connect ECONNREFUSED 127.0.0.1:1.',
    ],
    [
      `redis://:${ESCAPED}@no.such.host.invalid`,
      'Redis at no.such.host.invalid:6379 cannot be used: getaddrinfo',
    ],
  ])('is refused with its address and the reason: %s', async (DATABASE_URL, words) => {
    expect(await refusalOfServer(DATABASE_URL)).toContain(words);
  });
});

describeOnRedis('starting', (binary) => {
  let plain: RedisServer;
  let cluster: RedisCluster;
  beforeAll(async () => {
    plain = await startRedis({ binary });
    cluster = await startCluster({ binary, replicas: 0 });
  });

  /** Refusal of an otherwise empty server after these commands. */
  async function refusalAfter(...commands: readonly string[][]): Promise<string> {
    await plain.cli('FLUSHALL');
    for (const command of commands) await plain.cli(...command);
    return refusal({ DATABASE_URL: plain.url }, plain);
  }

  test('on a database with keys of another program is refused', async () => {
    expect(await refusalAfter(['SET', 'session:1', 'x'])).toContain(
      `${REDIS_PROGRAM.product} at ${plain.address} holds keys that are not Pigeonhole's; it needs a database of its own.`,
    );
    for (const foreign of [
      ['SET', 'pigeonhole', 'x'],
      ['HSET', 'pigeonhole', 'name', 'Martha'],
      ['HSET', 'pigeonhole', 'format', '1', 'epoch', '1', 'partitions', 'many'],
    ])
      expect(await refusalAfter(foreign)).toContain("holds a key pigeonhole that is not Pigeonhole's.");
  });

  test('on a database of a newer format is refused', async () => {
    const newer = ['HSET', 'pigeonhole', 'format', '99', 'partitions', '1', 'epoch', '1'];
    expect(await refusalAfter(newer)).toContain(
      'holds format 99, made by a newer Pigeonhole; this one knows 1.',
    );
  });

  test('works on another database of the same server than such keys', async () => {
    await plain.cli('FLUSHALL');
    await plain.cli('SET', 'session:1', 'x');
    await expectToServe({ DATABASE_URL: `${plain.url}/7` });
    expect(await plain.cli('KEYS', '*')).toBe('session:1');
    await plain.cli('FLUSHALL');
  });

  test('on a server that evicts keys is refused, and names the setting', async () => {
    await plain.cli('FLUSHALL');
    for (const policy of ['allkeys-lru', 'volatile-ttl']) {
      await plain.cli('CONFIG', 'SET', 'maxmemory-policy', policy);
      const line = await refusal({ DATABASE_URL: plain.url }, plain);
      expect(line).toContain(`may evict keys (maxmemory-policy ${policy})`);
      expect(line).toContain('Set it to noeviction.');
    }
    await plain.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  });

  test('on a cluster of which one server evicts keys is refused, and names that server', async () => {
    const last = cluster.nodes.at(-1)!;
    await last.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-random');
    const line = await refusal({ DATABASE_URL: cluster.url }, ...cluster.nodes);
    expect(line).toContain(`${REDIS_PROGRAM.product} at ${last.address} may evict keys`);
    await last.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  });

  test('on a cluster by the URL of a server, and the reverse, is refused with the right form', async () => {
    const [node] = cluster.nodes;
    expect(await refusal({ DATABASE_URL: node!.url }, node!)).toContain(
      `${REDIS_PROGRAM.product} at ${node!.address} is part of a cluster: DATABASE_URL must be redis+cluster://`,
    );
    const asCluster = plain.url.replace('redis:', 'redis+cluster:');
    expect(await refusal({ DATABASE_URL: asCluster }, plain)).toContain(
      `${REDIS_PROGRAM.product} at ${plain.address} is no cluster: DATABASE_URL must be redis://`,
    );
  });

  test('on a cluster works by the URL of any one of its servers', async () => {
    await expectToServe({ DATABASE_URL: `redis+cluster://${cluster.nodes[1]!.address}` });
  });

  describe('with a password', () => {
    let guarded: RedisServer;
    let url: (login: string) => string;
    beforeAll(async () => {
      guarded = await startRedis({ binary, auth: { password: PASSWORD } });
      url = (login) => `redis://${login}${guarded.address}`;
    });

    test('that is right, as the default user and by name, works', async () => {
      await expectToServe({ DATABASE_URL: url(`:${ESCAPED}@`) });
      await guarded.cli('FLUSHALL');
      await expectToServe({ DATABASE_URL: url(`default:${ESCAPED}@`) });
      await guarded.cli('FLUSHALL');
    });

    test.each(['', ':@', ':wrong@', 'default:wrong@', `nobody:${ESCAPED}@`, `${ESCAPED}@`])(
      'that is wrong or missing is refused: redis://%shost',
      async (login) => {
        const line = await refusal({ DATABASE_URL: url(login) }, guarded);
        expect(line).toMatch(/cannot be used: (?:NOAUTH|WRONGPASS).*DATABASE_URL/);
        expect(line).not.toContain('wrong@');
      },
    );

    test('where none is needed is refused', async () => {
      const DATABASE_URL = `redis://:${ESCAPED}@${plain.address}`;
      expect(await refusal({ DATABASE_URL }, plain)).toContain('without any password configured');
    });

    test.each([
      ['keys', ['~app:*', '&*', '+@all'], 'lacks ~{*.'],
      ['the key of the database', ['~{*', '&*', '+@all'], 'lacks ~pigeonhole.'],
      ['writes', ['%R~*', '&*', '+@all'], 'lacks ~{*.'],
      ['channels', ['~*', 'resetchannels', '+@all'], 'lacks &{*.'],
      ['SPUBLISH', ['~*', '&*', '+@all', '-spublish'], 'lacks +spublish.'],
      ['two commands', ['~*', '&*', '+@all', '-hincrby', '-xtrim'], 'lacks +hincrby +xtrim.'],
      ['scripts', ['~*', '&*', '+@all', '-@scripting'], "'script|load' command"],
      ['INFO', ['~*', '&*', '+@all', '-info'], "'info' command"],
      ['client names', ['~*', '&*', '+@all', '-client|setname'], "'client|setname' command"],
    ])(
      'of a user who may not use %s is refused with the rules that are missing and those that are needed',
      async (_what, rules, missing) => {
        await guarded.cli('ACL', 'SETUSER', 'bob', 'reset', 'on', `>${PASSWORD}`, ...rules);
        const line = await refusal({ DATABASE_URL: url(`bob:${ESCAPED}@`) }, guarded);
        expect(line).toMatch(/cannot be used: .* Its user needs ~pigeonhole ~\{\* &\{\* \+/);
        expect(line).toContain(missing);
      },
    );
  });

  describe('over TLS', () => {
    let secure: RedisServer;
    beforeAll(async () => {
      secure = await startRedis({ binary, tls: true, auth: { password: PASSWORD } });
    });
    afterAll(() => secure.stop());

    test('works where the authority is trusted, by address and by name', async () => {
      const trusted = { NODE_EXTRA_CA_CERTS: secure.ca! };
      await expectToServe({ DATABASE_URL: secure.url, ...trusted });
      await secure.cli('FLUSHALL');
      await expectToServe({ DATABASE_URL: secure.url.replace('127.0.0.1', 'localhost'), ...trusted });
      await secure.cli('FLUSHALL');
    });

    test('is refused where it is not, and names the setting', async () => {
      const line = await refusal({ DATABASE_URL: secure.url }, secure);
      expect(line).toMatch(/cannot be used: self-signed certificate.*NODE_EXTRA_CA_CERTS/);
    });

    test('is refused where only one side speaks it, with the right form', async () => {
      const bare = { DATABASE_URL: secure.url.replace('rediss:', 'redis:') };
      expect(await refusal(bare, secure)).toMatch(/cannot be used: .*DATABASE_URL begins with rediss\./);
      const wrapped = { DATABASE_URL: plain.url.replace('redis:', 'rediss:') };
      expect(await refusal(wrapped, plain)).toMatch(/cannot be used: .*redis, not rediss\./);
    });
  });
});
