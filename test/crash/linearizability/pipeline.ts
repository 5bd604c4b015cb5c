import net from 'node:net';
import { HANG_MS } from '../../support/eventually.js';
import { parseAnswers, type RawAnswer } from '../../support/raw-http.js';

/** A connection that sends requests without waiting for the answers to earlier ones. */
export class Pipeline {
  private readonly waiting: { resolve: (answer: RawAnswer) => void; reject: (error: Error) => void }[] = [];
  private received: Buffer = Buffer.alloc(0);

  private constructor(private readonly socket: net.Socket) {
    socket.setNoDelay().setTimeout(HANG_MS, () => socket.destroy());
    socket.on('data', (bytes) => this.take(bytes)).on('error', () => undefined);
    socket.on('close', () => {
      for (const { reject } of this.waiting.splice(0)) reject(new Error('the connection was cut'));
    });
  }

  static open(port: number): Promise<Pipeline> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(new Pipeline(socket)));
      socket.once('error', reject);
    });
  }

  get isOpen(): boolean {
    return !this.socket.destroyed;
  }

  send(bytes: string): Promise<RawAnswer> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.socket.write(bytes);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private take(bytes: Buffer): void {
    const { answers, rest } = parseAnswers(Buffer.concat([this.received, bytes]));
    this.received = Buffer.from(rest, 'latin1');
    for (const answer of answers) this.waiting.shift()!.resolve(answer);
  }
}
