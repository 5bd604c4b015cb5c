import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import net from 'node:net';
import { ask } from '../../support/http.js';
import { freshKey, put, valueOf } from '../../support/kv.js';
import { exchange, lines, parseAnswers, type RawAnswer } from '../../support/raw-http.js';
import { startServer, type ServerProcess } from '../../support/server.js';

const HOST = 'Host: localhost';
const CHUNKED = 'Transfer-Encoding: chunked';
const MiB = 2 ** 20;

let server: ServerProcess;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.end());

describe('a body that nobody reads', () => {
  test.each([
    ['DELETE', '/kv/absent', 204],
    ['DELETE', '/kv?prefix=absent', 200],
    ['GET', '/kv/absent', 404],
    ['OPTIONS', '/kv/absent', 204],
    ['PUT', '/get', 405],
    ['POST', '/nothing', 404],
  ])('is not taken in: %s %s', async (method, path, status) => {
    const head = lines(`${method} ${path} HTTP/1.1`, HOST, `Content-Length: ${300 * MiB}`);
    const { answers, taken } = await pour(head, 300 * MiB);
    expect(answers.map((answer) => answer.status)).toEqual([status]);
    expect(taken).toBeLessThan(100 * MiB);
  });
});

/** Sends `head` and up to `most` bytes of a body. Returns the answers, and how much of the body had left when the server ended. */
function pour(head: string, most: number): Promise<{ answers: RawAnswer[]; taken: number }> {
  const socket = net.connect(server.port, '127.0.0.1');
  const piece = Buffer.alloc(MiB);
  const chunks: Buffer[] = [];
  const next = () => {
    while (socket.writable && socket.bytesWritten < most) if (!socket.write(piece)) return;
    if (socket.writable) socket.end();
  };
  socket.on('drain', next).on('data', (chunk) => chunks.push(chunk));
  socket.write(head);
  next();
  return new Promise((resolve) => {
    const settle = () =>
      resolve({ answers: parseAnswers(Buffer.concat(chunks)).answers, taken: socket.bytesWritten });
    socket.on('error', () => {}).on('close', settle);
  });
}

describe('an empty body', () => {
  /** The answer to a request whose body says only at its end that it is empty. */
  async function emptyInChunks(path: string, body = '0\r\n\r\n'): Promise<RawAnswer> {
    const head = lines(`PATCH ${path} HTTP/1.1`, HOST, CHUNKED);
    const { answers } = await exchange(server.port, head + body, { enough: (all) => all.length > 0 });
    return answers[0]!;
  }

  test('is none to a counter and to a touch', async () => {
    const key = freshKey();
    expect(await emptyInChunks(`/kv/${key}?incr=5`)).toMatchObject({ status: 201, body: '5' });
    expect(await emptyInChunks(`/kv/${key}?incr=5&ttl=1h`)).toMatchObject({ status: 200, body: '10' });
    expect(await emptyInChunks(`/kv/${key}?ttl=1h`)).toMatchObject({ status: 200 });
  });

  test('is not what a counter and a touch have with a body', async () => {
    const key = freshKey();
    await put(server.port, key, '1');
    for (const query of ['incr=1', 'ttl=1h', 'incr=1&ttl=1h']) {
      expect(await emptyInChunks(`/kv/${key}?${query}`, '2\r\n{}\r\n0\r\n\r\n')).toMatchObject({
        status: 400,
      });
      const whole = await ask(server.port, `/kv/${key}?${query}`, { method: 'PATCH', body: '{}' });
      expect(whole.status).toBe(400);
    }
    expect(await valueOf(server.port, key)).toBe('1');
  });
});

describe('HTTP/1.0', () => {
  test('is never asked to go on', async () => {
    const head = ['PUT /kv/old HTTP/1.0', HOST, 'Content-Length: 1', 'Expect: 100-continue'];
    const socket = net.connect(server.port, '127.0.0.1');
    socket.write(`${lines(...head)}v`);
    let seen = '';
    for await (const chunk of socket) seen += String(chunk);
    expect(seen.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 201']);
  });

  test('gets no chunks, whatever it says', async () => {
    for (const path of ['/', '/kv?prefix=']) {
      const headers = [HOST, 'TE: chunked', 'Accept: application/x-ndjson', 'Connection: keep-alive'];
      const { answers, closed } = await exchange(server.port, lines(`GET ${path} HTTP/1.0`, ...headers));
      expect(answers[0]!.headers['transfer-encoding']).toBeUndefined();
      expect(closed).toBe(true);
    }
  });
});

describe('a slow body', () => {
  /** Sends a chunk every 2.5 s until `isOver`, and then the end. Returns the answer. */
  async function trickle(
    method: string,
    path: string,
    chunk: string,
    isOver: () => boolean,
  ): Promise<RawAnswer> {
    const head = lines(`${method} ${path} HTTP/1.1`, HOST, 'Content-Type: text/plain', CHUNKED);
    const socket = net.connect(server.port, '127.0.0.1');
    const received: Buffer[] = [];
    socket.write(head);
    const pump = setInterval(() => {
      socket.write(`${chunk.length.toString(16)}\r\n${chunk}\r\n`);
      if (isOver()) socket.write('0\r\n\r\n');
    }, 2500);
    try {
      for await (const part of socket) {
        received.push(part as Buffer);
        const [answer] = parseAnswers(Buffer.concat(received)).answers;
        if (answer) return answer;
      }
    } finally {
      clearInterval(pump);
      socket.destroy();
    }
    throw new Error(`no answer to ${method} ${path}`);
  }

  test('is cut off, but that of an import may take as long as it likes', async () => {
    let isCut = false;
    const value = trickle('PUT', '/kv/slow', 'x'.repeat(40), () => false);
    void value.finally(() => (isCut = true));
    const line = `${JSON.stringify({ key: 'slow/line', value: 'x'.repeat(11) })}\n`;
    const imported = trickle('POST', '/kv', line, () => isCut);
    const silent = exchange(server.port, lines('POST /kv HTTP/1.1', HOST, CHUNKED));
    expect(await value).toMatchObject({ status: 408 });
    expect((await value).body).toContain('1 KiB/s');
    const { status, body } = await imported;
    expect({ status, ...(JSON.parse(body) as object) }).toMatchObject({
      status: 200,
      created: 1,
      errorCount: 0,
    });
    const { answers, closed } = await silent;
    expect({ status: answers[0]!.status, closed }).toEqual({ status: 408, closed: true });
    expect(answers[0]!.body).toContain('nothing came for 30 s');
  });
});
