import type { IncomingMessage, ServerResponse } from 'node:http';
import type express from 'express';
import { answerOptions, refuseMethod } from '../answer/answer.js';
import { ACCEPT_PATCH } from '../answer/error-status.js';
import { METHODS } from '../gate/cors.js';
import { writesOnGet } from '../request/safe.js';
import { operationMeter, type OperationMeter } from './request-meter.js';

type ExpressApp = ReturnType<typeof express>;
type Handler = (request: IncomingMessage, response: ServerResponse, next: () => void) => unknown;

/** What is used of Express's list of layers: the routes in the order they were registered, middleware among them. */
interface Layer {
  readonly route?: {
    readonly path: string;
    readonly stack: readonly { readonly method?: string; readonly handle: Handler }[];
  };
}

/**
 * `/get`, and `/kv/{*key}`, which stands for every path that begins with `/kv/` and goes on; after the star may stand how it
 * ends.
 */
const FINDABLE = /^(\/[\w./-]*)(?:(\{\*\w+\})(\/\w+)?)?$/;
const LITERAL_START = /^[\w./-]*/;
const PATH_END = /[?#]/;

/**
 * The routes of the application, and the methods that each path has.
 *
 * Problem: Express walks its list of layers for every request, 5 µs even when the first route is the one; and it knows no
 * 405. Design: a route with a literal path, or one with a star at its end, that stands before every middleware and after
 * no pattern that could match the same paths is the first to match whatever else the list holds, so a map finds it.
 * The map knows every method of a path, so it also answers OPTIONS and refuses other methods with 405: `Allow` is never
 * wrong. All other routes stay with Express, and so does what is not found. Nest's own pipeline is inside the handler and
 * runs either way. What Express adds to a request it routes (`originalUrl`, `params`, `res.locals`) is not there.
 */
export class RouteTable {
  private readonly byPath = new Map<string, Route>();
  private readonly byPrefix: Prefixed[] = [];

  /** @param app with all its routes registered */
  constructor(app: ExpressApp) {
    const shadows: string[] = [];
    // The first layer is the adapter's own, for hooks that nothing here sets.
    for (const { route } of (app.router as unknown as { stack: Layer[] }).stack.slice(1)) {
      if (!route) break;
      const [, path, star, end = ''] = FINDABLE.exec(route.path) ?? [];
      if (path === undefined || shadows.some((shadow) => path.startsWith(shadow))) {
        shadows.push(LITERAL_START.exec(route.path)![0]);
        continue;
      }
      const found = star ? this.routeAfter(path, end, route.path) : this.routeAt(path);
      for (const { method, handle } of route.stack) found.add(method!.toUpperCase(), handle);
    }
    // What ends in some way is more exact than what ends in any.
    this.byPrefix.sort((a, b) => b.end.length - a.end.length);
  }

  /** Returns what answers the request; undefined if only Express can tell. */
  find(method: string, url: string): Operation | undefined {
    const query = url.indexOf('?');
    const path = query < 0 ? url : url.slice(0, query);
    const route =
      this.byPath.get(path) ?? this.prefixed(path) ?? this.byPath.get(path.split(PATH_END, 1)[0]!);
    return route?.operationOf(method);
  }

  private prefixed(path: string): Route | undefined {
    for (const { prefix, end, route } of this.byPrefix) {
      if (path.startsWith(prefix) && path.endsWith(end)) return route;
    }
    return undefined;
  }

  private routeAt(path: string): Route {
    let route = this.byPath.get(path);
    if (!route) this.byPath.set(path, (route = new Route(path, writesOnGet(path))));
    return route;
  }

  private routeAfter(prefix: string, end: string, path: string): Route {
    let found = this.byPrefix.find((candidate) => candidate.prefix === prefix && candidate.end === end);
    if (!found) this.byPrefix.push((found = { prefix, end, route: new Route(path, false) }));
    return found.route;
  }
}

/** The route of paths that begin and end in some way. */
interface Prefixed {
  readonly prefix: string;
  readonly end: string;
  readonly route: Route;
}

/** What answers a method of a path, and where that is counted. */
export interface Operation {
  readonly handle: Handler;
  readonly meter: OperationMeter;
}

/** The methods of one path. */
class Route {
  private readonly operations = new Map<string, Operation>();
  private readonly options: Operation;
  private readonly others: Operation;

  /** @param writesOnGet then HEAD, which answers as GET does, would write too */
  constructor(
    private readonly path: string,
    private readonly writesOnGet: boolean,
  ) {
    this.options = { handle: this.list, meter: operationMeter(path, 'OPTIONS') };
    this.others = { handle: this.refuse, meter: operationMeter(path, undefined) };
  }

  /** The first registered wins. */
  add(method: string, handle: Handler): void {
    if (!this.operations.has(method))
      this.operations.set(method, { handle, meter: operationMeter(this.path, method) });
    if (method === 'GET' && !this.writesOnGet) this.add('HEAD', handle);
  }

  operationOf(method: string): Operation {
    return this.operations.get(method) ?? (method === 'OPTIONS' ? this.options : this.others);
  }

  private get allow(): string {
    return METHODS.filter((method) => method === 'OPTIONS' || this.operations.has(method)).join(', ');
  }

  private readonly list: Handler = (_request, response) =>
    answerOptions(response, this.allow, this.operations.has('PATCH') ? ACCEPT_PATCH : []);

  private readonly refuse: Handler = (request, response) => refuseMethod(request, response, this.allow);
}
