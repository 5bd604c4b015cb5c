import { Test } from '@nestjs/testing';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AppModule } from '../../src/app.module.js';
import { createHttp, setUp } from '../../src/app.setup.js';
import { loadConfig } from '../../src/config/app-config.js';
import { startServer } from './server.js';
import { temporaryFolder } from './temporary-folder.js';

/** A server under test, however it runs. */
export interface Target {
  readonly port: number;
  close(): Promise<void>;
}

/** The application inside this process, with the adapter and the guards it has in earnest. */
export async function startInProcess(settings: Record<string, string> = {}): Promise<Target> {
  const config = loadConfig({ DATABASE_URL: 'memory:', PORT: '0', ...settings });
  const { adapter } = createHttp(config);
  const module = await Test.createTestingModule({ imports: [AppModule.with(config)] }).compile();
  const app = module.createNestApplication(adapter, { bodyParser: false, logger: ['fatal', 'error'] });
  setUp(app);
  await app.listen(0, '127.0.0.1');
  const server = app.getHttpServer() as Server;
  return {
    port: (server.address() as AddressInfo).port,
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

/** Every way the server is tested: on each engine inside the test, and as the built program. */
export const TARGETS: { name: string; start: () => Promise<Target> }[] = [
  { name: 'memory: in process', start: () => startInProcess() },
  {
    name: 'lmdb: in process',
    start: () => startInProcess({ DATABASE_URL: `lmdb:${temporaryFolder()}` }),
  },
  { name: 'the built server', start: () => startBuilt() },
];
