import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { DatabaseError } from '../../errors.js';
import { sendLast, urlOf } from './server-limits.js';

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** The type of the record with which TLS begins (RFC 8446, 5.1). */
const HANDSHAKE = 22;
const MOST_ENCRYPTED_BYTES = 256 * 1024;

/** Limits given when a server with TLS is made. A client that has ended its side of the connection still gets its answers. */
export const TLS_LIMITS: TlsOptions = { handshakeTimeout: HANDSHAKE_TIMEOUT_MS, allowHalfOpen: true };

/**
 * Makes a server with TLS as careful as one without.
 *
 * Problem: who speaks plain HTTP to it would only see the connection end, and one that says nothing would stay for
 * ever. Also, TLS encrypts what it is given at once, into memory of its own: 16 MiB of an answer would hold up everybody, and be
 * in memory twice until they are read. Design: a connection is passed to TLS with its first bytes, if they can be TLS;
 * and what is written to it is encrypted 256 KiB at a time, the next when the system has taken those.
 */
export function prepareTls(server: Server): Server {
  const handshakes = server.listeners('connection') as ((socket: Socket) => void)[];
  server.removeAllListeners('connection').on('connection', (socket: Socket) => {
    awaitFirstBytes(socket, () => handshakes.forEach((begin) => begin.call(server, socket)));
  });
  server.on('secureConnection', encryptInPieces);
  // Node would have it answered as if it were a bad request.
  server.removeAllListeners('tlsClientError').on('tlsClientError', (_error, socket) => socket.destroy());
  return server;
}

function awaitFirstBytes(socket: Socket, begin: () => void): void {
  const giveUp = () => socket.destroy();
  socket.setTimeout(HANDSHAKE_TIMEOUT_MS, giveUp).on('error', giveUp).once('end', giveUp);
  socket.once('data', (bytes) => {
    socket.setTimeout(0, giveUp).off('end', giveUp);
    if (bytes[0] !== HANDSHAKE) return refusePlain(socket, bytes);
    socket.pause();
    socket.unshift(bytes);
    begin();
  });
}

/** A request begins with its method, in capital letters; nothing else is answered. */
function refusePlain(socket: Socket, bytes: Buffer): void {
  if (!/^[A-Z]/.test(bytes.toString('latin1', 0, 1))) return void socket.destroy();
  const detail = 'This server speaks TLS: the address begins with https://, not with http://.';
  socket.resume();
  sendLast(new DatabaseError('malformed-request', detail), urlOf({ rawPacket: bytes }), socket);
}

type Callback = (error?: Error | null) => void;
type Chunks = readonly { readonly chunk: string | Buffer; readonly encoding: BufferEncoding }[];

function encryptInPieces(socket: TLSSocket): void {
  const write = socket._write.bind(socket);
  const writeAll = socket._writev!.bind(socket);
  const writePieces = (bytes: Buffer, callback: Callback) => {
    let at = 0;
    const next: Callback = (error) => {
      if (error || at >= bytes.length) return callback(error);
      write(bytes.subarray(at, (at += MOST_ENCRYPTED_BYTES)), 'buffer' as BufferEncoding, next);
    };
    next();
  };
  socket._write = (chunk: string | Buffer, encoding, callback) => {
    if (chunk.length <= MOST_ENCRYPTED_BYTES) write(chunk, encoding, callback);
    else writePieces(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk, callback);
  };
  socket._writev = (chunks: Chunks, callback) => {
    const length = chunks.reduce((sum, { chunk }) => sum + chunk.length, 0);
    if (length <= MOST_ENCRYPTED_BYTES) return writeAll(chunks as Parameters<typeof writeAll>[0], callback);
    let written = 0;
    const next: Callback = (error) => {
      if (error || written === chunks.length) return callback(error);
      const { chunk, encoding } = chunks[written++]!;
      socket._write(chunk, encoding, next);
    };
    next();
  };
}
