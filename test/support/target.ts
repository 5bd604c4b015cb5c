import { Test } from '@nestjs/testing';
import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { AppModule } from '../../src/app.module.js';
import { createHttp, setUp } from '../../src/app.setup.js';
import { loadConfig } from '../../src/config/app-config.js';
import { Certificates } from '../../src/http/server/certificates.js';
import { IS_OVER_TLS, tlsSettings, plainPort } from './over-tls.js';
import { startServer } from './server.js';

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
