import http, { IncomingMessage, type ServerOptions, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { NestApplicationOptions } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import express from 'express';
import { limitUnsent } from '../answer/unsent-answers.js';
import { countBodies } from './access-log.js';
import { IdleConnections } from './idle-connections.js';
import { inOrder } from './pipeline.js';
import { OneWriteResponse } from './one-write.js';
import { proveOneWrite } from './one-write-proof.js';
import { meterAnswer, type MeteredResponse } from './request-meter.js';
import { RouteTable } from './route-table.js';
import { HTTP_LIMITS, limitServer } from './server-limits.js';
import { prepareTls, TLS_LIMITS } from './tls.js';
import type { RequestGate } from '../gate/request-gate.js';

/** Decides about requests; see `FastExpressAdapter.guard`. It throws nothing. */
export interface Guard {
  admits(request: IncomingMessage, response: ServerResponse): boolean | Promise<boolean>;
}

type ExpressApp = ReturnType<typeof express>;

/**
 * Express without its cost.
 *
 * Problem: Express 5 calls `Object.setPrototypeOf` on every request and response, to give them its own methods. V8
 * then treats both as slow objects everywhere they go, which was four fifths of the CPU of a request (122 µs against
 * 25 µs, measured). Design: the server makes its requests and responses from subclasses whose prototypes already *are*
 * what Express would set: they carry Express's own property descriptors and the `app`, and the application's `request`
 * and `response` are those prototypes. Guarantee: the call finds the prototype in place and changes nothing; all of
 * Express works as before. They have to be real subclasses: constructors made with `Reflect.construct` over Express's
 * own prototypes are slower than stock.
 *
 * Routes that route-table.ts finds do not go through Express's search. The gate stands before both, so what it refuses
 * is never routed.
 */
export class FastExpressAdapter extends ExpressAdapter {
  /** What decides after the gate whether a request may do what it asks for. Whoever refuses one has answered it. */
  guard: Guard | undefined;
  /** Whether answers go out in one write; see one-write.ts. */
  readonly answersInOneWrite = proveOneWrite();
  private routes: RouteTable | undefined;

  constructor(
    private readonly gate: RequestGate,
    /** How many bytes of answers may wait for their readers. */
    private readonly maxUnsentBytes: number,
    private readonly onRequest?: (request: IncomingMessage, response: ServerResponse) => void,
  ) {
    super(strictExpress());
  }

  /** Whether there is a route of its own at `path`. Asked after the last route has been registered. */
  hasRoute(path: string): boolean {
    this.routes ??= new RouteTable(this.getInstance<ExpressApp>());
    return this.routes.has(path);
  }

  override initHttpServer(options: NestApplicationOptions): void {
    const app = this.getInstance<ExpressApp>();
    const classes = prepareMessages(app);
    const serve = (request: IncomingMessage, response: ServerResponse) => {
      meterAnswer(response as MeteredResponse);
      if (!this.gate.admits(request, response)) return;
      const admitted = this.guard?.admits(request, response) ?? true;
      if (admitted === true) route(request, response);
      else if (admitted !== false) void admitted.then((isAdmitted) => isAdmitted && route(request, response));
    };
    const route = (request: IncomingMessage, response: ServerResponse) => {
      this.routes ??= new RouteTable(app); // the first request comes after the last route
      const operation = this.routes.find(request.method!, request.url!);
      const viaExpress = () => app(request as never, response as never);
      if (!operation) return viaExpress();
      (response as MeteredResponse).operation = operation.meter;
      void operation.handle(request, response, viaExpress);
    };
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      this.onRequest?.(request, response);
      inOrder(request, response, serve);
    };
    const serverOptions: ServerOptions = { ...HTTP_LIMITS, ...classes } as ServerOptions;
    const server = options.httpsOptions
      ? prepareTls(https.createServer({ ...options.httpsOptions, ...TLS_LIMITS, ...serverOptions }, listener))
      : http.createServer(serverOptions, listener);
    limitServer(server);
    new IdleConnections(server);
    limitUnsent(server, classes.ServerResponse, this.maxUnsentBytes);
    if (this.onRequest) countBodies(classes.ServerResponse);
    this.setHttpServer(server);
  }
}

function strictExpress(): ExpressApp {
  const app = express();
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  return app;
}

/** Makes subclasses of Node's messages with Express's prototypes, and has the application use those. */
function prepareMessages(app: ExpressApp) {
  class ExpressRequest extends IncomingMessage {
    /** Node has the rest of a body thrown away after the answer. Where there is none, that is the end of a stream for nobody. */
    _dump(): void {
      if (!this.complete || this.readableLength > 0) DUMP.call(this);
    }
  }
  class ExpressResponse extends OneWriteResponse {
    startedAt = performance.now();
    operation = undefined;
    isHeld = false;
  }
  adopt(ExpressRequest.prototype, express.request, app);
  adopt(ExpressResponse.prototype, express.response, app);
  app.request = ExpressRequest.prototype as unknown as typeof app.request;
  app.response = ExpressResponse.prototype as unknown as typeof app.response;
  return { IncomingMessage: ExpressRequest, ServerResponse: ExpressResponse };
}

const { _dump: DUMP } = IncomingMessage.prototype as unknown as { _dump: () => void };

function adopt(prototype: object, expressPrototype: object, app: ExpressApp): void {
  Object.defineProperties(prototype, Object.getOwnPropertyDescriptors(expressPrototype));
  Object.defineProperty(prototype, 'app', {
    configurable: true,
    enumerable: true,
    writable: true,
    value: app,
  });
}
