import { expect, test } from '@jest/globals';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataFile, type TreePage } from '../../support/data-file.js';
import { ask, type Answer, type Question } from '../../support/http.js';
import { NDJSON, pathOf } from '../../support/kv.js';
import { HANG_MS } from '../../support/eventually.js';
import { Random } from '../../support/random.js';
import { startServer, type ServerProcess } from '../../support/server.js';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder.js';
import { rounds } from '../../support/long-run.js';

const ROUNDS = rounds(1);
const SEED = 11;
/** Enough for a tree with inner pages below its root. */
const COUNT = 6000;
const CLIENTS = 4;
const REQUESTS = 100;
/** Of a page's header, and of its list of nodes. */
const HEADER_BYTES = 48;

const KINDS: Record<string, (file: DataFile, random: Random) => TreePage> = {
  'a value': (file, random) => {
    const leaf = random.pick(leavesOf(file));
    file.flip(random.pick(leaf.nodes) + 130 + random.below(40));
    return leaf;
  },
  "a leaf's header": (file, random) => {
    const leaf = random.pick(leavesOf(file));
    for (let i = 0; i < 8; i++) file.flip(leaf.start + random.below(HEADER_BYTES));
    return leaf;
  },
  'an inner page': (file, random) => {
    // The root is on the way to every key.
    const inner = file
      .pagesOf('entries')
      .slice(1)
      .filter(({ isBranch }) => isBranch);
    const branch = random.pick(inner);
    for (let i = 0; i < 8; i++) file.flip(branch.start + random.below(file.pageSize));
    return branch;
  },
};

function leavesOf(file: DataFile): TreePage[] {
  return file.pagesOf('entries').filter(({ isBranch }) => !isBranch);
}

const keyOf = (i: number) => `key/${String(i).padStart(6, '0')}/${'x'.repeat(80)}`;
const valueOf = (i: number, version: number) => `${version}/${i}/`.padEnd(100, '.');

/** Makes a store with `COUNT` entries. Returns its data file. */
async function makeStore(): Promise<string> {
  const folder = temporaryFolder();
  const server = await startServer({ DATABASE_URL: `lmdb:${folder}` });
  const lines = Array.from({ length: COUNT }, (_, i) =>
    JSON.stringify({ key: keyOf(i), value: valueOf(i, 0) }),
  );
  const answer = await ask(server.port, '/kv', { method: 'POST', headers: NDJSON, body: lines.join('\n') });
  expect(answer.status).toBe(200);
  await server.end('SIGTERM');
  return join(folder, 'data.mdb');
}

interface Found {
  requests: number;
  /** Requests for healthy keys that were not answered as they should. */
  wrong: string[];
  /** Answers that blame the program. */
  internal: string[];
}

/** Clients that read and write the healthy keys and ask for the others, until they are done or the server has ended. */
class Clients {
  private readonly versions = new Map<number, number>();

  constructor(
    private readonly server: ServerProcess,
    private readonly healthy: ReadonlySet<string>,
    private readonly random: Random,
    private readonly found: Found,
  ) {}

  async run(): Promise<void> {
    let ended = false;
    void this.server.exit.then(() => (ended = true));
    await Promise.all(
      Array.from({ length: CLIENTS }, async (_, client) => {
        for (let i = 0; i < REQUESTS && !ended; i++) {
          try {
            // Each client has keys of its own, so that it knows what they hold.
            await this.request(client + CLIENTS * this.random.below(COUNT / CLIENTS));
          } catch (error) {
            // LMDB may have ended the process, which takes the system a moment to tell.
            await Promise.race([this.server.exit, new Promise((resolve) => setTimeout(resolve, 2000))]);
            if (!ended) this.found.wrong.push(String(error));
          }
        }
      }),
    );
  }

  private async request(i: number): Promise<void> {
    const key = keyOf(i);
    if (this.random.chance(0.1)) {
      await this.ask(`/kv?prefix=${encodeURIComponent(key.slice(0, 8))}&limit=50`);
    } else if (!this.healthy.has(key)) {
      await this.ask(pathOf(key));
    } else if (this.random.chance(0.3)) {
      const version = (this.versions.get(i) ?? 0) + 1;
      const { status } = await this.ask(pathOf(key), { method: 'PUT', body: valueOf(i, version) });
      if (status === 200) this.versions.set(i, version);
      else this.found.wrong.push(`PUT ${key} ${status}`);
    } else {
      const { status, text } = await this.ask(pathOf(key));
      if (status !== 200 || text !== valueOf(i, this.versions.get(i) ?? 0))
        this.found.wrong.push(`GET ${key} ${status} ${text}`);
    }
  }

  private async ask(path: string, question: Question = {}): Promise<Answer> {
    this.found.requests++;
    const answer = await ask(this.server.port, path, { ...question, agent: false });
    if (answer.text.includes('"code":"internal"')) this.found.internal.push(`${path} ${answer.text}`);
    return answer;
  }
}

test(
  `healthy keys are read and written beside damage, in ${ROUNDS} rounds of each kind`,
  async () => {
    const random = new Random(SEED);
    const original = await makeStore();
    const found: Found = { requests: 0, wrong: [], internal: [] };
    const ends: string[] = [];
    let signals = 0;
    for (const [kind, damage] of Object.entries(KINDS)) {
      for (let round = 0; round < ROUNDS; round++) {
        const folder = temporaryFolder();
        copyFileSync(original, join(folder, 'data.mdb'));
        const server = await startServer({ DATABASE_URL: `lmdb:${folder}` });
        const file = new DataFile(join(folder, 'data.mdb'));
        const all = file.pagesOf('entries')[0]!.keys;
        const { keys } = damage(file, random);
        const healthy = new Set(all);
        for (const key of keys) healthy.delete(key);
        await new Clients(server, healthy, random, found).run();
        const { code, signal } = await server.end('SIGTERM');
        // LMDB itself dies of some damaged pages by a signal, which no code of ours can keep from happening.
        if (signal !== null && signal !== 'SIGKILL') signals++;
        else if (code !== 0) ends.push(`${kind}: ${code ?? signal} ${server.output().stderr}`);
        removeFolder(folder);
      }
    }
    process.stdout.write(
      `damage: ${ROUNDS * Object.keys(KINDS).length} rounds, ${found.requests} requests, ` +
        `${found.wrong.length} wrong, ${found.internal.length} internal, ${ends.length} ends, ` +
        `${signals} ends of LMDB by a signal\n`,
    );
    expect({ wrong: found.wrong.slice(0, 5), internal: found.internal.slice(0, 5), ends }).toEqual({
      wrong: [],
      internal: [],
      ends: [],
    });
  },
  (1 + ROUNDS) * Object.keys(KINDS).length * HANG_MS,
);
