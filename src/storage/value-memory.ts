import { giveWay } from '../event-loop.js';

/*
 * Problem: what stores a large value needs it with something before and after it, and a copy of megabytes in one turn of
 * the event loop holds up everybody. Design: who makes a large value may leave room around it, into which the engine that
 * stores it writes. Guarantee: nothing else uses that room, because every value has its own.
 */

/** What an engine may use before a value, and after it. */
export const ROOM_BYTES = 512;
/** Values up to here are copied faster than looked after. */
export const LARGE_VALUE_BYTES = 64 * 1024;
const PIECE_BYTES = 64 * 1024;

/** Bytes of large values that are being read, or wait for that, and that no answer counts yet. */
export const underRead = { bytes: 0 };

const roomy = new WeakSet<Buffer>();

/** Returns memory for a value of `bytes`, with room around it if it is large. */
export function allocateValue(bytes: number): Buffer {
  if (bytes <= LARGE_VALUE_BYTES) return Buffer.allocUnsafe(bytes);
  return roomyPart(Buffer.allocUnsafeSlow(ROOM_BYTES + bytes + ROOM_BYTES), ROOM_BYTES, bytes);
}

/** Returns the part of `memory` from `start` as a value of `bytes`, which may use ROOM_BYTES before it and after it, too. */
export function roomyPart(memory: Buffer, start: number, bytes: number): Buffer {
  const value = memory.subarray(start, start + bytes);
  roomy.add(value);
  return value;
}

/** Returns a large `value` in memory that has room around it, which is used once only: itself, or a copy. */
export async function withRoom(value: Buffer): Promise<Buffer> {
  if (roomy.delete(value)) return value;
  const copy = allocateValue(value.length);
  for (let at = 0; at < value.length; at += PIECE_BYTES) {
    value.copy(copy, at, at, at + PIECE_BYTES);
    await giveWay();
  }
  roomy.delete(copy);
  return copy;
}

let lastRead: Promise<unknown> = Promise.resolve();

/**
 * Runs `read`, which checks whether there is memory for a large value and then reads it, after those before it: what it goes
 * by changes only when they are answered, in the turn of the event loop in which they have been read.
 */
export function oneByOne<T>(read: () => Promise<T>): Promise<T> {
  const result = lastRead.then(read);
  lastRead = result.catch(() => undefined).then(() => new Promise((resolve) => setImmediate(resolve)));
  return result;
}
