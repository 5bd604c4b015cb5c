import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cli } from './redis-cli.js';
import { Guardian } from './redis-guardian.js';
import { releasePort, takePort } from './redis-ports.js';
import type { Certificate } from './redis-tls.js';
import type { Exit } from './server.js';

const READY_WITHIN_MS = 20_000;
const EXIT_WITHIN_MS = 20_000;
const PORT_CLASHES = 5;
const LOG_KEPT = 64 * 1024;

export interface Credentials {
  /** An ACL user that may do everything; without it, the default user. */
  readonly username?: string;
  /** Also the default user's, so that nobody gets in without one. */
  readonly password: string;
}

/** How a server is run, once it has a port and a folder. */
export interface Command {
  readonly binary: string;
  readonly args: readonly string[];
  readonly auth?: Credentials | undefined;
  readonly certificate?: Certificate | undefined;
}

/** Servers that run, so that none is left when a test file has ended. */
export const running = new Set<RedisServer>();

/** A redis-server, a process of its own with its own folder, on TCP on the loopback address only. */
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

  /** Starts on a port that is free, on another one when somebody else was faster. */
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

  /** Host and port as URLs have them. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** `redis://…` or, with TLS, `rediss://…`, with the credentials. */
  get url(): string {
    return `${this.command.certificate ? 'rediss' : 'redis'}://${userInfo(this.command.auth)}${this.address}`;
  }

  /** The file of the certificate to trust, with TLS. */
  get ca(): string | undefined {
    return this.command.certificate?.cert;
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Whether it runs and is not paused. */
  get answers(): boolean {
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

  /** FLUSHALL, without a process and without credentials or TLS: tests that empty a server often use it. */
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

  /** Sends a signal, to its background saves too, and waits for the end. A paused one ends by SIGKILL only. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Exit> {
    this.signal(signal);
    const timer = setTimeout(() => this.signal('SIGKILL'), EXIT_WITHIN_MS);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  /** SIGSTOP: the kernel still accepts connections and data for it, and nothing is answered. */
  pause(): void {
    this.signal('SIGSTOP');
    this.paused = true;
  }

  resume(): void {
    this.signal('SIGCONT');
    this.paused = false;
  }

  /** Runs it again on the same port and folder, by a kill -9 first if it still runs; waits until it has loaded its data. */
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
      // A process group of its own: signals reach its background saves, and a Ctrl-C does not reach it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
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
      timer = setTimeout(() => fail('was not ready in time'), READY_WITHIN_MS);
      child.on('error', (error) => fail(`did not start (${error.message})`));
      // Not at its exit, when some of what it said may still be on its way.
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
      // A replica's first copy starts at once instead of after 5 s, and CLUSTER SLOTS names it after a first ping.
      ...flags({ 'repl-diskless-sync-delay': '0', 'repl-ping-replica-period': '1' }),
      ...flags(certificate ? tlsSettings(port, certificate) : { port }),
      ...(auth ? authFlags(auth) : []),
      ...args,
    ];
  }
}

/** The credentials of a URL, up to the @. */
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
