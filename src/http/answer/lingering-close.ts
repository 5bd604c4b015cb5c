import type { IncomingMessage, ServerResponse } from 'node:http';

const LINGER_MS = 2_000;
const LINGER_BYTES = 32 * 2 ** 20;

/**
 * Ends the connection with this answer: for requests whose body nobody will read.
 *
 * Problem: a system that closes a connection of which it has not read everything resets it, and a client that is still
 * sending loses the answer. Design: what comes of the body is thrown away, up to 32 MiB; after the answer our side of the
 * connection ends, and all of it when the body does, or after two seconds (RFC 9112, 9.6).
 */
export function closeAfter(request: IncomingMessage, response: ServerResponse): void {
  response.shouldKeepAlive = false;
  if (!request.complete) linger(request);
}

function linger(request: IncomingMessage): void {
  const { socket } = request;
  let taken = 0;
  request.on('data', (chunk: Buffer) => {
    taken += chunk.length;
    if (taken > LINGER_BYTES) request.pause();
  });
  request.resume();
  const close = () => socket.destroy();
  // Node calls it after the last answer.
  socket.destroySoon = () =>
    socket.end(() => {
      if (request.complete) return close();
      request.once('end', close);
      setTimeout(close, LINGER_MS).unref();
    });
}
