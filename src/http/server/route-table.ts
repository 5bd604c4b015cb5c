import type { IncomingMessage, ServerResponse } from 'node:http';
import type express from 'express';

type ExpressApp = ReturnType<typeof express>;
type Handler = (request: IncomingMessage, response: ServerResponse, next: () => void) => unknown;

/** What is used of Express's list of layers: the routes in the order they were registered, middleware among them. */
interface Layer {
  readonly route?: {
    readonly path: string;
    readonly stack: readonly { readonly method?: string; readonly handle: Handler }[];
  };
}

/** `/get`, and `/kv/{*key}`, which stands for everything behind `/kv/`. */
const FINDABLE = /^(\/[\w./-]*)(\{\*\w+\})?$/;
const LITERAL_START = /^[\w./-]*/;
const ANY = 'ANY';

/**
 * The routes that need no search.
 *
 * Problem: Express walks its list of layers for every request, 5 µs even when the first route is the one. Design: a
 * route with a literal path, or one with a star at its end, that stands before every middleware and behind no pattern
 * that could match the same paths is the first to match whatever else the list holds, so a map finds it; all others stay
 * with Express. Nest's own pipeline is inside the handler and runs
 * either way. What Express adds to a request it routes (`originalUrl`, `params`, `res.locals`) is not there.
 */
export class RouteTable {
  private readonly byPath = new Map<string, Map<string, Handler>>();
  private readonly byPrefix: { prefix: string; methods: Map<string, Handler> }[] = [];

  /** Of an application all of whose routes are registered. */
  constructor(app: ExpressApp) {
    const shadows: string[] = [];
    // The first layer is the adapter's own, for hooks that nothing here sets.
    for (const { route } of (app.router as unknown as { stack: Layer[] }).stack.slice(1)) {
      if (!route) break;
      const [, path, star] = FINDABLE.exec(route.path) ?? [];
      if (path === undefined || shadows.some((shadow) => path.startsWith(shadow))) {
        shadows.push(LITERAL_START.exec(route.path)![0]);
        continue;
      }
      const methods = star ? this.methodsBehind(path) : this.methodsAt(path);
      for (const { method, handle } of route.stack) add(methods, method?.toUpperCase() ?? ANY, handle);
    }
  }

  /** The handler that Express would call first, or undefined if only Express can tell. */
  find(method: string, url: string): Handler | undefined {
    const query = url.indexOf('?');
    const path = query < 0 ? url : url.slice(0, query);
    const methods = this.byPath.get(path) ?? this.behind(path);
    return methods && (methods.get(method) ?? methods.get(ANY));
  }

  private behind(path: string): Map<string, Handler> | undefined {
    for (const { prefix, methods } of this.byPrefix) {
      if (path.startsWith(prefix)) return methods;
    }
    return undefined;
  }

  private methodsAt(path: string): Map<string, Handler> {
    let methods = this.byPath.get(path);
    if (!methods) this.byPath.set(path, (methods = new Map()));
    return methods;
  }

  private methodsBehind(prefix: string): Map<string, Handler> {
    let found = this.byPrefix.find((candidate) => candidate.prefix === prefix);
    if (!found) this.byPrefix.push((found = { prefix, methods: new Map() }));
    return found.methods;
  }
}

/** The first registered wins, and GET answers HEAD too. */
function add(methods: Map<string, Handler>, method: string, handler: Handler): void {
  if (methods.has(ANY)) return;
  if (!methods.has(method)) methods.set(method, handler);
  if (method === 'GET' && !methods.has('HEAD')) methods.set('HEAD', handler);
}
