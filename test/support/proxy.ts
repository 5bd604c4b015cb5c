import { afterAll } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import https, { type RequestOptions } from 'node:https';
import { join } from 'node:path';
import { eventually, HANG_MS } from './eventually.js';
import { answerTo, type Answer, type Question } from './http.js';
import { releasePort, takePort } from './redis-ports.js';
import { certificate } from './certificates.js';
import { temporaryFolder } from './temporary-folder.js';

/** The name in the certificate and in the configurations. */
export const PROXY_HOST = 'kv.example.com';

const MODULES = '/usr/lib/apache2/modules';

/** How a proxy of Debian is run as a process of its own, in a folder of its own, on a loopback port. */
interface Kind {
  /** The whole configuration around what the page shows. */
  readonly complete: (shown: string, port: number, folder: string) => string;
  readonly args: (file: string, folder: string) => readonly string[];
}

export const PROXIES: Record<string, Kind> = {
  nginx: {
    complete: (shown, port, folder) => `
      daemon off;
      master_process off;
      pid ${folder}/pid;
      error_log stderr;
      events {}
      http {
        access_log off;
        ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join('\n')}
        ${shown.replace('listen 443', `listen 127.0.0.1:${port}`)}
      }`,
    args: (file, folder) => ['-p', folder, '-c', file, '-e', 'stderr'],
  },
  haproxy: {
    complete: (shown, port) => shown.replace('bind :443', `bind 127.0.0.1:${port}`),
    args: (file) => ['-db', '-f', file],
  },
  caddy: {
    complete: (shown, port) => shown.replace('{\n', `{\n\thttps_port ${port}\n\tdefault_bind 127.0.0.1\n`),
    args: (file) => ['run', '--config', file, '--adapter', 'caddyfile'],
  },
  apache2: {
    complete: (shown, port, folder) => `
      ServerRoot ${folder}
      PidFile ${folder}/pid
      ErrorLog ${folder}/log
      ServerName localhost
      User www-data
      Group www-data
      ${['mpm_event', 'authz_core', 'proxy', 'proxy_http', 'ssl', 'filter', 'deflate']
        .map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`)
        .join('\n')}
      Mutex file:${folder} default
      Listen 127.0.0.1:${port}
      ${shown.replace('*:443', `127.0.0.1:${port}`)}`,
    args: (file) => ['-D', 'FOREGROUND', '-f', file],
  },
};

const running = new Set<Proxy>();
afterAll(() => Promise.all([...running].map((proxy) => proxy.end())));

/** A proxy that runs. */
export class Proxy {
  private output = '';
  private readonly exited: Promise<void>;

  private constructor(
    readonly port: number,
    private readonly child: ChildProcess,
  ) {
    for (const stream of [child.stdout!, child.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    this.exited = new Promise((resolve) => child.on('close', () => resolve()));
    running.add(this);
  }

  /** Starts `program` with the configuration that a page shows, in front of the server on `backend`. */
  static async start(name: string, program: string, shown: string, backend: number): Promise<Proxy> {
    const { complete, args } = PROXIES[name]!;
    const folder = temporaryFolder();
    const port = await takePort();
    const file = join(folder, 'configuration');
    writeFileSync(file, local(complete(shown, port, folder), folder, backend));
    const env = { PATH: process.env['PATH'] ?? '', HOME: folder };
    const child = spawn(program, args(file, folder), { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const proxy = new Proxy(port, child);
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`${name} ended: ${proxy.output}`);
      return proxy.ask('/get').then(
        ({ status }) => status === 400,
        () => false,
      );
    }, name);
    return proxy;
  }

  async end(): Promise<void> {
    running.delete(this);
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), HANG_MS);
    await this.exited;
    clearTimeout(timer);
    releasePort(this.port);
  }

  /** Sends `path` as it stands, over TLS. */
  async ask(path: string, question: Question = {}): Promise<Answer> {
    const { method = 'GET', headers = {}, body, localAddress } = question;
    const options = { ...this.target(path), localAddress, method, headers: { Host: PROXY_HOST, ...headers } };
    return answerTo(https.request(options), `${method} ${path}`, body);
  }

  /** Opens a stream of events. `text()` is what has come. */
  watch(path: string): Promise<{ text: () => string; close: () => void }> {
    return new Promise((resolve, reject) => {
      const headers = { Host: PROXY_HOST, Accept: 'text/event-stream' };
      const request = https.get({ ...this.target(path), headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('error', () => undefined);
        resolve({ text: () => text, close: () => request.destroy() });
      });
      request.on('error', reject);
    });
  }

  private target(path: string): RequestOptions {
    const { cert } = certificate();
    const where = { host: '127.0.0.1', port: this.port, servername: PROXY_HOST, ca: readFileSync(cert) };
    return { ...where, path, agent: false, timeout: HANG_MS };
  }
}

/** A configuration with the files and the server of this machine. */
function local(text: string, folder: string, backend: number): string {
  const { cert, key } = certificate();
  const both = join(folder, 'both.pem');
  mkdirSync(folder, { recursive: true });
  writeFileSync(both, readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'));
  return text
    .replaceAll(`/etc/ssl/${PROXY_HOST}.both.pem`, both)
    .replaceAll(`/etc/ssl/${PROXY_HOST}.pem`, cert)
    .replaceAll(`/etc/ssl/${PROXY_HOST}.key`, key)
    .replaceAll('127.0.0.1:4000', `127.0.0.1:${backend}`);
}
