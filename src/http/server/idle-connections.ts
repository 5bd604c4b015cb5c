import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';

const CHECK_EVERY_MS = 1_000;

/**
 * Ends connections on which nothing was asked for too long.
 *
 * Problem: Node sets a timer after every answer and takes it back with the next request, which together cost as much as the
 * look-up of a key. Design: what Node asks for is noted, and once a second all connections are looked at. Guarantee: none is
 * ended before its time or while it brings bytes; it is by Node's own listener, two seconds later at most.
 */
export class IdleConnections {
  private readonly times = new Set<IdleTime>();

  constructor(server: Server, every = CHECK_EVERY_MS) {
    const checker = setInterval(() => this.check(), every).unref();
    server.once('close', () => clearInterval(checker));
    server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
      const time = new IdleTime(socket);
      this.times.add(time);
      socket.once('close', () => this.times.delete(time));
      socket.setTimeout = (milliseconds) => {
        time.set(milliseconds);
        return socket;
      };
    });
  }

  /** Ends those whose time is over. Called once a second. */
  check(): void {
    for (const time of this.times) time.check();
  }
}

/** How long a connection may still be idle. */
class IdleTime {
  /** Checks until it is over; 0 while that never comes. */
  private left = 0;
  private most = 0;
  private bytesRead = 0;

  constructor(private readonly socket: Socket) {}

  set(milliseconds: number): void {
    // The first check may come at once.
    this.left = this.most = milliseconds === 0 ? 0 : Math.ceil(milliseconds / CHECK_EVERY_MS) + 1;
  }

  check(): void {
    if (this.left === 0) return;
    const { bytesRead } = this.socket;
    if (bytesRead !== this.bytesRead) {
      this.bytesRead = bytesRead;
      this.left = this.most;
    } else if (--this.left === 0) {
      this.socket.emit('timeout');
    }
  }
}
