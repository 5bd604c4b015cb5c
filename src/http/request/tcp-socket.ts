import type { Socket } from 'node:net';

/** Returns the TCP connection that carries a connection over TLS, and any other connection as it is. */
export function tcpSocketOf(socket: Socket): Socket {
  return (socket as Socket & { readonly _parent?: Socket | null })._parent ?? socket;
}
