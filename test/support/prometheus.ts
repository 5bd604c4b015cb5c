import { afterAll } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { eventually } from './eventually.js';
import { ask } from './http.js';
import { findProgram } from './requires.js';
import { temporaryFolder } from './temporary-folder.js';

const running = new Set<ChildProcess>();
afterAll(() => running.forEach((child) => child.kill('SIGKILL')));

/** Whom to scrape, as a job of the configuration says. */
export interface Job {
  readonly job_name: string;
  readonly scheme?: string;
  readonly [setting: string]: unknown;
}

/** An alert that Prometheus has found. */
export interface FoundAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly state: string;
}

/** A series of an answer, with its last value or its values. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}

/** The real program, with a folder of its own, on a free loopback port. */
export class Prometheus {
  private constructor(
    private readonly port: number,
    private readonly child: ChildProcess,
  ) {}

  /** @param rules the text of a file of rules */
  static async start(jobs: readonly Job[], everySeconds: number, rules?: string): Promise<Prometheus> {
    const folder = temporaryFolder();
    const every = `${everySeconds}s`;
    const config = {
      global: { scrape_interval: every, scrape_timeout: every, evaluation_interval: every },
      scrape_configs: jobs,
      ...(rules !== undefined && { rule_files: ['rules.yml'] }),
    };
    // JSON is YAML.
    writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config));
    if (rules !== undefined) writeFileSync(join(folder, 'rules.yml'), rules);
    mkdirSync(join(folder, 'data'));
    const port = await freePort();
    const child = spawn(
      findProgram('prometheus')!,
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    running.add(child);
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-10_000)));
    const prometheus = new Prometheus(port, child);
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`Prometheus has ended: ${said}`);
      return ask(port, '/-/ready').then(
        ({ status }) => status === 200,
        () => false,
      );
    }, 'Prometheus');
    return prometheus;
  }

  async alerts(): Promise<readonly FoundAlert[]> {
    return (await this.read<{ alerts: FoundAlert[] }>('/api/v1/alerts')).alerts;
  }

  /** Returns what an expression is at this moment. */
  async query(expression: string): Promise<readonly Series[]> {
    const query = new URLSearchParams({ query: expression });
    return (await this.read<{ result: Series[] }>(`/api/v1/query?${query.toString()}`)).result;
  }

  /** Returns what an expression was between two times, seconds since 1970. */
  async range(expression: string, start: number, end: number, step: number): Promise<readonly Series[]> {
    const query = new URLSearchParams({
      query: expression,
      start: String(start),
      end: String(end),
      step: String(step),
    });
    return (await this.read<{ result: Series[] }>(`/api/v1/query_range?${query.toString()}`)).result;
  }

  /** Waits until so many targets have been scraped with success. */
  async untilScraped(targets: number): Promise<void> {
    await eventually(async () => {
      const [up] = await this.query('sum(up)');
      return Number(up?.value?.[1] ?? 0) === targets;
    }, `a scrape of ${targets} targets`);
  }

  stop(): void {
    this.child.kill('SIGKILL');
    running.delete(this.child);
  }

  private async read<T>(path: string): Promise<T> {
    const { status, text } = await ask(this.port, path);
    if (status !== 200) throw new Error(`Prometheus answers ${status}: ${text}`);
    return (JSON.parse(text) as { data: T }).data;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
