import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HANG_MS } from './eventually.js';
import { cli } from './redis-cli.js';
import { Guardian } from './redis-guardian.js';
import { releasePort, takePort } from './redis-ports.js';
import type { Certificate } from './certificates.js';
import type { Exit } from './server.js';

const PORT_CLASHES = 5;
const LOG_KEPT = 64 * 1024;

export interface Credentials {
  /** An ACL user that may do everything; the default user if absent. */
  readonly username?: string;
  /** Also that of the default user. */
  readonly password: string;
}

/** How a server is run, beside its port and folder. */
export interface Command {
  readonly binary: string;
  readonly args: readonly string[];
  readonly auth?: Credentials | undefined;
  readonly certificate?: Certificate | undefined;
  /** Environment variables beside those of this process. */
  readonly env?: Record<string, string> | undefined;
}

/** Running servers, to be stopped at the end of a test file. */
export const running = new Set<RedisServer>();

/** A redis-server process with a folder of its own, on the loopback address only. */
export class RedisServer {
  private readonly folder = mkdtempSync(join(tmpdir(), 'pigeonhole-test-'));
  private readonly guardian = new Guardian(this.folder);
  private child: ChildProcess | undefined;
  private exited: Promise<Exit> = Promise.resolve({ code: null, signal: null });
  private paused = false;
  private output = '';

  private constructor(
    readonly port: number,
    private readonly command: Command,
  ) {}

  /** Starts on a free port; on another one if that was taken meanwhile. */
  static async start(command: Command): Promise<RedisServer> {
    for (let clashes = 0; ; clashes++) {
      const server = new RedisServer(await takePort(), command);
      running.add(server);
      try {
        await server.run();
        return server;
      } catch (error) {
        await server.stop();
        const clash = server.log().includes('Address already in use');
        if (!clash || clashes === PORT_CLASHES) throw error;
      }
    }
  }

  /** `host:port` */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** `redis://…` or, with TLS, `rediss://…`, with the credentials. */
  get url(): string {
    return `${this.command.certificate ? 'rediss' : 'redis'}://${userInfo(this.command.auth)}${this.address}`;
  }

  /** With TLS, the file of the certificate to trust. */
  get ca(): string | undefined {
    return this.command.certificate?.cert;
  }

  /** Undefined while it is not running. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Whether it is running and not paused. */
  get isRunning(): boolean {
    return this.child !== undefined && !this.paused;
  }

  /** The end of what it has logged since its last start. */
  log(): string {
    return this.output;
  }

  /** redis-cli with this server's credentials; see `cli`. */
  cli(...args: readonly string[]): Promise<string> {
    const { auth, certificate } = this.command;
    const login = auth ? ['--no-auth-warning', '-a', auth.password] : [];
    const tls = certificate ? ['--tls', '--cacert', certificate.cert] : [];
    return cli(this.port, ...login, ...tls, ...args);
  }

  /** Sends FLUSHALL over a plain socket, without credentials: faster than redis-cli for tests that do it often. */
  flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1', () => socket.write('FLUSHALL\r\n'));
      socket.once('data', (reply) => {
        socket.destroy();
        if (reply.toString().startsWith('+OK')) resolve();
        else reject(new Error(`FLUSHALL: ${reply.toString()}`));
      });
      socket.once('error', reject);
    });
  }

  /** Sends a signal to the server and its background saves, and waits for the end. A paused one ends by SIGKILL only. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Exit> {
    this.signal(signal);
    const timer = setTimeout(() => this.signal('SIGKILL'), HANG_MS);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  /** Sends SIGSTOP. The kernel still accepts connections and data, and nothing replies. */
  pause(): void {
    this.signal('SIGSTOP');
    this.paused = true;
  }

  resume(): void {
    this.signal('SIGCONT');
    this.paused = false;
  }

  /** Kills it if it is running, and runs it again on the same port and folder. Waits until it has loaded its data. */
  async restart(): Promise<void> {
    await this.kill();
    await this.run();
  }

  /** Ends it and removes its folder. */
  async stop(): Promise<void> {
    await this.kill();
    this.guardian.dismiss();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
    releasePort(this.port);
    running.delete(this);
  }

  private signal(signal: NodeJS.Signals): void {
    if (this.child?.pid !== undefined) process.kill(-this.child.pid, signal);
  }

  private async run(): Promise<void> {
    this.output = '';
    const child = spawn(this.command.binary, this.settings(), {
      // A process group of its own, so that signals reach its background saves, and a Ctrl-C does not.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.command.env },
    });
    this.child = child;
    this.guardian.watch(child.pid);
    this.exited = new Promise((resolve) => {
      const ended = (exit: Exit): void => {
        this.child = undefined;
        this.paused = false;
        this.guardian.watch(undefined);
        resolve(exit);
      };
      child.on('error', () => ended({ code: null, signal: null }));
      child.on('exit', (code, signal) => ended({ code, signal }));
    });
    await this.ready(child);
  }

  private async ready(child: ChildProcess): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`${this.command.binary} ${why}:\n${this.output}`));
      timer = setTimeout(() => fail('was not ready in time'), HANG_MS);
      child.on('error', (error) => fail(`did not start (${error.message})`));
      // `close` and not `exit`: only then all of its output has arrived.
      child.on('close', () => fail('ended before it was ready'));
      for (const stream of [child.stdout!, child.stderr!]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          this.output = (this.output + text).slice(-LOG_KEPT);
          if (text.includes('Ready to accept connections')) resolve();
        });
      }
    }).finally(() => clearTimeout(timer));
  }

  private settings(): string[] {
    const { args, auth, certificate } = this.command;
    const port = `${this.port}`;
    return [
      ...flags({ bind: '127.0.0.1', dir: this.folder, appendonly: 'yes', save: '' }),
      // A replica starts its first copy at once instead of after 5 s, and CLUSTER SLOTS names it after its first ping.
      ...flags({ 'repl-diskless-sync-delay': '0', 'repl-ping-replica-period': '1' }),
      ...flags(certificate ? tlsSettings(port, certificate) : { port }),
      ...(auth ? authFlags(auth) : []),
      ...args,
    ];
  }
}

/** The credentials of a URL with the @; empty if there are none. */
export function userInfo(auth: Credentials | undefined): string {
  if (!auth) return '';
  return `${encodeURIComponent(auth.username ?? '')}:${encodeURIComponent(auth.password)}@`;
}

function authFlags({ username, password }: Credentials): string[] {
  const user = username === undefined ? [] : ['--user', username, 'on', `>${password}`, '~*', '&*', '+@all'];
  return [...flags({ requirepass: password, masterauth: password }), ...user];
}

function tlsSettings(port: string, { key, cert }: Certificate): Record<string, string> {
  return {
    port: '0',
    'tls-port': port,
    'tls-key-file': key,
    'tls-cert-file': cert,
    'tls-ca-cert-file': cert,
    'tls-auth-clients': 'no',
    'tls-replication': 'yes',
    'tls-cluster': 'yes',
  };
}

/** Settings of redis.conf as arguments. */
function flags(settings: Record<string, string>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}
