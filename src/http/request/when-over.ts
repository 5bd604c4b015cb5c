import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The listeners for an event of a connection, called through one listener however many answers wait on it. */
type Listeners = WeakMap<Socket, Set<() => void>>;
const onClose: Listeners = new WeakMap();
const onEnd: Listeners = new WeakMap();

function listenersOf(socket: Socket, event: 'close' | 'end', known: Listeners): Set<() => void> {
  let listeners = known.get(socket);
  if (!listeners) {
    const all = new Set<() => void>();
    socket.once(event, () => all.forEach((each) => each()));
    known.set(socket, (listeners = all));
  }
  return listeners;
}

/**
 * Calls `listener` once when the answer is over or its connection has ended. An answer that waits for the one before it on
 * its connection gets no 'close' of its own when that connection ends.
 */
export function whenOver({ socket }: IncomingMessage, response: ServerResponse, listener: () => void): void {
  const others = listenersOf(socket, 'close', onClose);
  const onOver = () => {
    response.off('close', onOver);
    others.delete(onOver);
    if (socket.destroyed) response.destroy();
    listener();
  };
  response.once('close', onOver);
  others.add(onOver);
}

/**
 * Calls `listener` when the client ends its side of the connection before the answer is over. It may wait for the answer, or
 * be gone: only what is sent to it can tell.
 */
export function whenHalfClosed(
  request: IncomingMessage,
  response: ServerResponse,
  listener: () => void,
): void {
  const others = listenersOf(request.socket, 'end', onEnd);
  others.add(listener);
  whenOver(request, response, () => others.delete(listener));
}
