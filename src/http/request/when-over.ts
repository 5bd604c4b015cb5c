import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The listeners for the end of a connection, called through one listener however many answers wait on it. */
const onEnd = new WeakMap<Socket, Set<() => void>>();

/**
 * Calls `listener` once when the answer is over or its connection has ended. An answer that waits for the one before it on
 * its connection gets no 'close' of its own when that connection ends.
 */
export function whenOver({ socket }: IncomingMessage, response: ServerResponse, listener: () => void): void {
  let others = onEnd.get(socket);
  if (!others) {
    const all = new Set<() => void>();
    socket.once('close', () => all.forEach((each) => each()));
    onEnd.set(socket, (others = all));
  }
  const onOver = () => {
    response.off('close', onOver);
    others.delete(onOver);
    if (socket.destroyed) response.destroy();
    listener();
  };
  response.once('close', onOver);
  others.add(onOver);
}
