import type { ServerResponse } from 'node:http';
import {
  Gauge,
  Histogram,
  histogramSamples,
  meter,
  reading,
  type Meter,
  type Reading,
} from '../../meters.js';
import { STATUS_OF } from '../answer/error-status.js';
import { METHODS } from '../gate/cors.js';
import { whenOver } from '../request/when-over.js';

/*
 * Counts requests, by the template of their route, their method and the status of their answer.
 *
 * Problem: a label for every request, found by its text in a map, would cost as much as the read that it is for. Design: the
 * route table has for each method of each route an object with arrays of numbers, so that a request that was routed has its
 * place already. What was refused before it was routed, matched no route or was no request has one place together.
 * Guarantee: the number of places is that of the source, whatever clients send.
 */

/** Bounds of the buckets, seconds: a read of the memory map takes some 0.1 ms, a write what the disk takes. */
const BOUNDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];
/** The method of requests that a route does not have. */
const OTHER = 'other';
const COUNTED = 'http_requests_total';
const TIMED = 'http_request_duration_seconds';

/** Every status that the server answers. The first stands for requests whose client went before there was one. */
const STATUSES = [...new Set([0, 200, 201, 204, 206, 304, 308, ...Object.values(STATUS_OF)])];
/** Status → its place in STATUSES. */
const PLACES = new Uint8Array(1000);
for (const [place, status] of STATUSES.entries()) PLACES[status] = place;

/** What was counted of one method of one route. */
export class OperationMeter {
  /** How many requests, by the place of their status. */
  readonly requests = new Float64Array(STATUSES.length);
  /** How many took so long, by bucket. */
  readonly durations = new Float64Array(BOUNDS.length + 1);
  seconds = 0;
}

/** The meters of a route, by method. */
class RouteMeter {
  private readonly byMethod = new Map<string, OperationMeter>();

  constructor(readonly route: string) {}

  of(method: string): OperationMeter {
    let found = this.byMethod.get(method);
    if (!found) this.byMethod.set(method, (found = new OperationMeter()));
    return found;
  }

  *operations(): Iterable<{ labels: { method: string; route: string }; operation: OperationMeter }> {
    for (const [method, operation] of this.byMethod)
      yield { labels: { method, route: this.route }, operation };
  }
}

const routes = new Map<string, RouteMeter>();
const NO_ROUTE = routeNamed('none');

/** The durations of all requests together. */
export const requestSeconds = new Histogram(TIMED, '', BOUNDS);

const inFlight = meter(new Gauge('http_requests_in_flight', 'Requests that are not answered yet.', 'sum', 0));
meter(meterOf(countsOf));
meter(meterOf(timesOf));

function routeNamed(template: string): RouteMeter {
  let found = routes.get(template);
  if (!found) routes.set(template, (found = new RouteMeter(template)));
  return found;
}

/** Returns the meter of a route's method. @param path of the route, as Express has it: `/kv/{*key}` or `/tokens/:id` */
export function operationMeter(path: string, method: string | undefined): OperationMeter {
  const template = path.replace(/\{\*(\w+)\}/, '{$1}').replace(/:(\w+)/g, '{$1}');
  return routeNamed(template).of(method ?? OTHER);
}

/** An answer that is counted. */
export interface MeteredResponse extends ServerResponse {
  /** When its request came, on the clock of `performance`. */
  startedAt: number;
  /** Where it is counted, once it is routed. */
  operation?: OperationMeter | undefined;
  /** Whether how long it takes is up to the client and says nothing about the server. */
  isHeld?: boolean;
}

/** Counts a request that begins, and its answer when that is over. */
export function meterAnswer(response: MeteredResponse): void {
  inFlight.add(1);
  if (response.socket !== null) response.once('close', countAnswer);
  else whenOver(response.req, response, () => countAnswer.call(response));
}

/** Counts what was answered without ever becoming a request. */
export function countRefusal(status: number): void {
  NO_ROUTE.of(OTHER).requests[PLACES[status]!]!++;
}

/** Leaves the duration of an answer out: a watch lasts as long as its client likes. */
export function leaveOutDuration(response: ServerResponse): void {
  (response as MeteredResponse).isHeld = true;
}

function countAnswer(this: MeteredResponse): void {
  inFlight.add(-1);
  const operation = this.operation ?? operationOf(this);
  operation.requests[this.headersSent ? PLACES[this.statusCode]! : 0]!++;
  if (this.isHeld) return;
  const seconds = (performance.now() - this.startedAt) / 1000;
  let bucket = 0;
  while (bucket < BOUNDS.length && seconds > BOUNDS[bucket]!) bucket++;
  operation.durations[bucket]!++;
  operation.seconds += seconds;
  requestSeconds.counts[bucket]!++;
}

/** Returns the meter of what Express has routed, or nobody. */
function operationOf({ req }: MeteredResponse): OperationMeter {
  const { route } = req as { route?: { path: unknown } };
  const method = METHODS.includes(req.method!) ? req.method : OTHER;
  return typeof route?.path === 'string' ? operationMeter(route.path, method) : NO_ROUTE.of(method!);
}

function meterOf(read: () => Reading): Meter {
  return { read };
}

function countsOf(): Reading {
  const values = [...routes.values()].flatMap((route) =>
    [...route.operations()].flatMap(({ labels, operation }) =>
      STATUSES.flatMap((status, place) => {
        const value = operation.requests[place]!;
        return value === 0 ? [] : [{ labels: { ...labels, code: status || 'none' }, value }];
      }),
    ),
  );
  const help = 'Requests, by the template of their route, and by the status of the answer.';
  return reading(COUNTED, help, 'counter', values);
}

function timesOf(): Reading {
  const values = [...routes.values()].flatMap((route) =>
    [...route.operations()].flatMap(({ labels, operation: { durations, seconds } }) =>
      seconds === 0 ? [] : histogramSamples(`pigeonhole_${TIMED}`, labels, BOUNDS, durations, seconds),
    ),
  );
  const help = 'From the head of a request to the end of its answer; without watches and long-polls.';
  return reading(TIMED, help, 'histogram', values);
}
