import { it } from '@jest/globals';
import { Test } from '@nestjs/testing';
import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { AppModule } from '../../src/app.module.js';
import { createHttp, setUp } from '../../src/app.setup.js';
import { loadConfig } from '../../src/config/app-config.js';
import { Certificates } from '../../src/http/server/certificates.js';
import type { Capabilities } from '../../src/storage/capabilities.js';
import { IS_OVER_TLS, tlsSettings, plainPort } from './over-tls.js';
import { startCluster, type RedisCluster } from './redis-cluster.js';
import type { RedisServer } from './redis-server.js';
import { startRedis } from './redis.js';
import { REDIS_PROGRAM } from './redis-program.js';
import { requireProgram } from './requires.js';
import { startServer } from './server.js';
import { temporaryFolder } from './temporary-folder.js';

/** A server under test, however it runs. */
export interface Target {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * The application inside this process, with the adapter and the guards it has in earnest.
 * @param address where all clients seem to come from
 */
export async function startInProcess(
  settings: Record<string, string> = {},
  address?: string,
): Promise<Target> {
  const config = loadConfig({ DATABASE_URL: 'memory:', PORT: '0', ...tlsSettings(), ...settings });
  const { adapter } = createHttp(config);
  const module = await Test.createTestingModule({ imports: [AppModule.with(config)] }).compile();
  const app = module.createNestApplication(adapter, {
    bodyParser: false,
    logger: ['fatal', 'error'],
    httpsOptions: config.tlsCert === '' ? undefined : (await Certificates.read(config)).options,
  });
  setUp(app);
  await app.listen(0, '127.0.0.1');
  const server = app.getHttpServer() as Server;
  if (address !== undefined)
    server.prependListener(IS_OVER_TLS ? 'secureConnection' : 'connection', (socket: Socket) =>
      Object.defineProperty(socket, 'remoteAddress', { value: address }),
    );
  return {
    port: await plainPort((server.address() as AddressInfo).port),
    close: () => {
      // Keep-alive connections of the test's agent would hold the close for a minute.
      server.closeAllConnections();
      return app.close();
    },
  };
}

export async function startBuilt(settings: Record<string, string> = {}): Promise<Target> {
  const server = await startServer(settings);
  return { port: server.port, close: async () => void (await server.end()) };
}

/** A way to run the server, with settings of the test's own. */
export interface Way {
  readonly name: string;
  readonly start: (settings?: Record<string, string>) => Promise<Target>;
  /** What its engine does not promise. */
  readonly lacks: readonly (keyof Capabilities)[];
}

/** The application in this process on a Redis of its own, which ends with it. */
async function startOnRedis(
  redis: RedisServer | RedisCluster,
  settings: Record<string, string>,
): Promise<Target> {
  const target = await startInProcess({ DATABASE_URL: redis.url, ...settings });
  const close = async () => {
    await target.close();
    await redis.stop();
  };
  return { port: target.port, close };
}

const REDIS: Way = {
  name: 'redis: in process',
  start: async (settings = {}) => startOnRedis(await startRedis(), settings),
  lacks: ['atomicAcrossKeys', 'orderedTags', 'snapshots', 'backup'],
};

const CLUSTER: Way = {
  name: 'redis+cluster: in process',
  start: async (settings = {}) => startOnRedis(await startCluster({ replicas: 0 }), settings),
  lacks: [...REDIS.lacks, 'totalOrder'],
};

const isInstalled = REDIS_PROGRAM.name !== undefined;
if (!isInstalled)
  requireProgram(REDIS_PROGRAM.binary).describe('the server on Redis', () => it('answers', () => {}));

/** On each engine inside the test. */
export const ENGINES: Way[] = [
  { name: 'memory: in process', start: startInProcess, lacks: ['durable', 'backup'] },
  {
    name: 'lmdb: in process',
    start: (settings) => startInProcess({ DATABASE_URL: `lmdb:${temporaryFolder()}`, ...settings }),
    lacks: [],
  },
  ...(isInstalled ? [REDIS] : []),
];

/** Inside the test on a cluster of 3, which takes a second or two to start and answers the same: for suites that differ. */
export const CLUSTERS: Way[] = isInstalled ? [CLUSTER] : [];

/** Every way the server is tested: on each engine inside the test, and as the built program. */
export const TARGETS: Way[] = [...ENGINES, { name: 'the built server', start: startBuilt, lacks: [] }];
