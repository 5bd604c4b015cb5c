// Every request of the console. It is a client of the public routes and of nothing else.

/** An answer that is not 2xx, or none at all: then `code` is `unreachable`. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `The server answered ${status}.`);
    this.status = status;
    this.code = problem.code ?? 'failed';
    this.title = problem.title ?? `Status ${status}`;
    /** All members of the problem document. */
    this.problem = problem;
  }
}

let token;
let onRefused = () => {};

/** Says with which token to ask from now on, and whom to tell when it is not taken. */
export function useToken(text, refused) {
  token = text;
  onRefused = refused;
}

/** The address of the server, which may lie under a prefix. */
export const SERVER = new URL('.', location.href).href.split('#')[0];

/** Returns the address of an entry. This spelling holds any key, `.` and `..` as well. */
export function entryPath(key, params = {}) {
  return withQuery('kv', { key, ...params });
}

/** Returns a path with the parameters that are not undefined. */
export function withQuery(path, params) {
  const given = Object.entries(params).filter(([, value]) => value !== undefined);
  const query = given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
  return query === '' ? path : `${path}?${query}`;
}

/** Sends a request. @throws ApiError @throws DOMException `AbortError` */
export async function request(path, { method = 'GET', headers = {}, body, signal } = {}) {
  const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const used = token;
  let response;
  try {
    // Without credentials a browser neither asks for a password of its own nor remembers one.
    const options = { method, headers: { ...authorization, ...headers }, body, signal, credentials: 'omit' };
    response = await fetch(new URL(path, SERVER), { ...options, cache: 'no-store' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(0, {
      code: 'unreachable',
      title: 'No answer',
      detail: 'The server cannot be reached. Is it running?',
    });
  }
  if (response.ok) return response;
  const error = new ApiError(response.status, await problemOf(response));
  if (response.status === 401 && used === token) onRefused(error);
  throw error;
}

async function problemOf(response) {
  try {
    return await response.json();
  } catch {
    return {};
  }
}

/** Sends a request and reads the JSON of its answer. */
export async function requestJson(path, options) {
  return (await request(path, options)).json();
}

/** Returns one page of a range. */
export function listPage(params, signal) {
  return requestJson(withQuery('kv', params), { signal });
}

/** Returns how many keys begin with `prefix`. */
export async function countKeys(prefix, signal) {
  const response = await request(withQuery('kv', { prefix }), { method: 'HEAD', signal });
  return Number(response.headers.get('KV-Count'));
}

/** Returns the description of an entry, undefined if it is not there: it is the first of all that begin with its key. */
export async function describe(key, signal) {
  const { items } = await listPage({ prefix: key, limit: 1 }, signal);
  return items[0]?.key === key ? items[0] : undefined;
}

/** Returns the bytes of an entry with its tag, only its first `most` if that is given. */
export async function readValue(key, most, signal) {
  const headers = most === undefined ? {} : { Range: `bytes=0-${most - 1}` };
  const response = await request(entryPath(key), { headers, signal });
  const bytes = new Uint8Array(await response.arrayBuffer());
  return { bytes, etag: response.headers.get('ETag').slice(1, -1) };
}

/** The condition that an entry is still the one with this tag; without one, that there is none. */
export function onlyIf(etag) {
  return etag === undefined ? { 'If-None-Match': '*' } : { 'If-Match': `"${etag}"` };
}

/** Stores a value if the entry is still the one with `etag`, or if there is none where that is undefined. */
export function putValue(key, body, { type, etag, ...params }) {
  const headers = { 'Content-Type': type, ...onlyIf(etag) };
  return requestJson(entryPath(key, params), { method: 'PUT', headers, body: new Blob([body]) });
}

/** Changes when an entry ends. */
export function touch(key, ttl, etag) {
  return requestJson(entryPath(key, { ttl }), { method: 'PATCH', headers: onlyIf(etag) });
}

/** Adds to a counter. */
export async function increment(key, by, etag) {
  return (await request(entryPath(key, { incr: by }), { method: 'PATCH', headers: onlyIf(etag) })).text();
}

export function deleteEntry(key, etag) {
  return request(entryPath(key), { method: 'DELETE', headers: onlyIf(etag) });
}

/** Does operations, all or nothing unless `atomic` is false. */
export async function runBatch(ops, atomic = true) {
  const body = JSON.stringify({ atomic, ops });
  return (await requestJson('batch', { method: 'POST', headers: JSON_BODY, body })).results;
}

export const JSON_BODY = { 'Content-Type': 'application/json' };
