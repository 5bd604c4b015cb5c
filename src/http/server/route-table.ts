import type { IncomingMessage, ServerResponse } from 'node:http';
import type express from 'express';
import { answerOptions, refuseMethod } from '../answer/answer.js';
import { ACCEPT_PATCH } from '../answer/error-status.js';
import { METHODS } from '../gate/cors.js';
import { writesOnGet } from '../request/safe.js';

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
      const found = star ? this.routeAfter(path, end) : this.routeAt(path);
      for (const { method, handle } of route.stack) found.add(method!.toUpperCase(), handle);
    }
    // What ends in some way is more exact than what ends in any.
    this.byPrefix.sort((a, b) => b.end.length - a.end.length);
  }

  /** Returns what answers the request; undefined if only Express can tell. */
  find(method: string, url: string): Handler | undefined {
    const query = url.indexOf('?');
    const path = query < 0 ? url : url.slice(0, query);
    const route =
      this.byPath.get(path) ?? this.prefixed(path) ?? this.byPath.get(path.split(PATH_END, 1)[0]!);
    return route?.handlerOf(method);
  }

  has(path: string): boolean {
    return this.byPath.has(path);
  }

  private prefixed(path: string): Route | undefined {
    for (const { prefix, end, route } of this.byPrefix) {
      if (path.startsWith(prefix) && path.endsWith(end)) return route;
    }
    return undefined;
  }

  private routeAt(path: string): Route {
    let route = this.byPath.get(path);
    if (!route) this.byPath.set(path, (route = new Route(writesOnGet(path))));
    return route;
  }

  private routeAfter(prefix: string, end: string): Route {
    let found = this.byPrefix.find((candidate) => candidate.prefix === prefix && candidate.end === end);
    if (!found) this.byPrefix.push((found = { prefix, end, route: new Route(false) }));
    return found.route;
  }
}

/** The route of paths that begin and end in some way. */
interface Prefixed {
  readonly prefix: string;
  readonly end: string;
  readonly route: Route;
}

/** The methods of one path. */
class Route {
  private readonly handlers = new Map<string, Handler>();

  /** @param writesOnGet then HEAD, which answers as GET does, would write too */
  constructor(private readonly writesOnGet: boolean) {}

  /** The first registered wins. */
  add(method: string, handler: Handler): void {
    if (!this.handlers.has(method)) this.handlers.set(method, handler);
    if (method === 'GET' && !this.writesOnGet) this.add('HEAD', handler);
  }

  handlerOf(method: string): Handler {
    return this.handlers.get(method) ?? (method === 'OPTIONS' ? this.list : this.refuse);
  }

  private get allow(): string {
    return METHODS.filter((method) => method === 'OPTIONS' || this.handlers.has(method)).join(', ');
  }

  private readonly list: Handler = (_request, response) =>
    answerOptions(response, this.allow, this.handlers.has('PATCH') ? ACCEPT_PATCH : []);

  private readonly refuse: Handler = (request, response) => refuseMethod(request, response, this.allow);
}
