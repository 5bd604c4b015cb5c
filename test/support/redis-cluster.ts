import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis, type RedisOptions } from './redis.js';
import { disagreement, parseNodes, type NodeView } from './redis-cluster-view.js';
import { userInfo, type RedisServer } from './redis-server.js';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js';

const SLOTS = 16_384;
const WITHIN_MS = 30_000;
const POLL_MS = 100;

/** Milliseconds after which a node that does not answer has failed (cluster-node-timeout). */
export const NODE_TIMEOUT_MS = 3000;

export interface ClusterOptions extends RedisOptions {
  readonly primaries?: number;
  /** Of each primary. */
  readonly replicas?: number;
}

/** Starts a cluster on loopback ports and waits until it is healthy. The first nodes are the primaries, in slot order. */
export async function startCluster(options: ClusterOptions = {}): Promise<RedisCluster> {
  const { primaries = 3, replicas = 1, args = [], ...rest } = options;
  const settings = ['--cluster-enabled', 'yes', '--cluster-node-timeout', `${NODE_TIMEOUT_MS}`, ...args];
  const count = primaries * (1 + replicas);
  const nodes = await Promise.all(
    Array.from({ length: count }, () => startRedis({ ...rest, args: settings })),
  );
  const cluster = new RedisCluster(nodes, options);
  try {
    await cluster.create(primaries);
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/** Several servers as one Redis Cluster. Single nodes are killed, paused and restarted by their own methods. */
export class RedisCluster {
  private readonly byId = new Map<string, RedisServer>();

  constructor(
    readonly nodes: readonly RedisServer[],
    private readonly options: ClusterOptions,
  ) {}

  /** `redis+cluster://host:port,host:port` or, with TLS, `rediss+cluster://…`, with the credentials and every node. */
  get url(): string {
    const { tls, auth } = this.options;
    const addresses = this.nodes.map(({ address }) => address).join(',');
    return `${tls ? 'rediss' : 'redis'}+cluster://${userInfo(auth)}${addresses}`;
  }

  /**
   * What `redis-cli --cluster create` does, which waits in steps of a second where this waits for one thing after the other
   * as it comes.
   */
  async create(primaries: number): Promise<void> {
    await Promise.all(this.nodes.map((node, i) => this.prepare(node, i, primaries)));
    for (const [i, node] of this.nodes.entries()) {
      const others = this.nodes.slice(i + 1);
      await Promise.all(others.map(({ port }) => node.cli('CLUSTER', 'MEET', '127.0.0.1', `${port}`)));
    }
    await Promise.all(this.nodes.slice(primaries).map((node, i) => this.replicate(node, i % primaries)));
    await this.waitHealthy();
  }

  /** The primary that serves a key or a slot, as the first node that answers knows it. */
  async primaryOf(what: string | number): Promise<RedisServer> {
    const slot =
      typeof what === 'number' ? what : Number(await this.anyone().cli('CLUSTER', 'KEYSLOT', what));
    const views = await this.viewOf(this.anyone());
    const owner = views.find(({ slots }) => slots.some(([first, last]) => first <= slot && slot <= last));
    if (!owner) throw new Error(`No node of the cluster serves slot ${slot}`);
    return this.byId.get(owner.id)!;
  }

  /** The replicas of a primary, as the first node that answers knows it. */
  async replicasOf(primary: RedisServer): Promise<RedisServer[]> {
    const id = this.idOf(primary);
    const views = await this.viewOf(this.anyone());
    return views.filter((view) => view.primary === id).map((view) => this.byId.get(view.id)!);
  }

  /**
   * Makes a replica the primary without loss (CLUSTER FAILOVER) and waits until every node knows. It waits before that, too,
   * when the replica has won an election within the last four node timeouts: for so long it may take those votes for new
   * ones (https://github.com/valkey-io/valkey/pull/1274), take over unelected, be overruled, and lose writes.
   */
  async failover(replica: RedisServer): Promise<void> {
    const [, timeout] = (await replica.cli('CONFIG', 'GET', 'cluster-node-timeout')).split('\n').map(Number);
    await sleep(Math.max(0, lastElection(replica.log()) + 4 * timeout! + 500 - Date.now()));
    await replica.cli('CLUSTER', 'FAILOVER');
    await until(async () =>
      (await replica.cli('ROLE')).startsWith('master') ? undefined : 'the replica is no primary yet',
    );
    await this.waitHealthy();
    if (!(await replica.cli('ROLE')).startsWith('master')) throw new Error('The new primary was overruled');
  }

  /** Moves so many slots with their keys from one primary to another and waits until every node knows. */
  async reshard(from: RedisServer, to: RedisServer, slots: number): Promise<void> {
    const move = ['--cluster-from', this.idOf(from), '--cluster-to', this.idOf(to)];
    const how = ['--cluster-slots', `${slots}`, '--cluster-yes'];
    await from.cli('--cluster', 'reshard', from.address, ...move, ...how);
    await this.waitHealthy();
  }

  /**
   * Puts a proxy in front of a primary, for those whom the cluster sends there: clients, save for what they connect to by
   * `url`, and its replicas. Waits until every node names its port; a restart of the node ends that.
   */
  async proxy(node: RedisServer): Promise<TcpProxy> {
    const proxy = await startTcpProxy(node.port);
    await node.cli('CONFIG', 'SET', 'cluster-announce-port', `${proxy.port}`);
    await until(async () => {
      const answering = this.nodes.filter(({ answers }) => answers);
      const views = await Promise.all(answering.map((each) => each.cli('CLUSTER', 'NODES')));
      return views.every((view) => view.includes(`:${proxy.port}@`))
        ? undefined
        : 'not all nodes know the proxy';
    });
    await this.waitHealthy();
    return proxy;
  }

  /**
   * Waits until every node that runs and is not paused says that all is well, all of them agree on who serves which slots
   * and on who replicates whom, every slot's primary is one of them, and the replicas among them are in sync.
   */
  async waitHealthy(): Promise<void> {
    await until(() => this.complaint());
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  private async prepare(node: RedisServer, i: number, primaries: number): Promise<void> {
    this.byId.set(await node.cli('CLUSTER', 'MYID'), node);
    // Distinct epochs, so that the nodes need not resolve a conflict when they meet.
    await node.cli('CLUSTER', 'SET-CONFIG-EPOCH', `${i + 1}`);
    if (i >= primaries) return;
    const first = (at: number): number => Math.floor((at * SLOTS) / primaries);
    await node.cli('CLUSTER', 'ADDSLOTSRANGE', `${first(i)}`, `${first(i + 1) - 1}`);
  }

  private async replicate(node: RedisServer, primary: number): Promise<void> {
    const id = this.idOf(this.nodes[primary]!);
    await until(async () => {
      const known = (await this.viewOf(node)).some((view) => view.id === id && view.connected);
      return known ? undefined : 'the replica has not met its primary';
    });
    await node.cli('CLUSTER', 'REPLICATE', id);
  }

  /** Why the cluster is not healthy, or undefined. */
  private async complaint(): Promise<string | undefined> {
    const answering = this.nodes.filter((node) => node.answers);
    const ids = answering.map((node) => this.idOf(node));
    const views: NodeView[][] = [];
    for (const node of answering) {
      const info = await node.cli('CLUSTER', 'INFO');
      if (!/cluster_state:ok/.test(info) || !info.includes(`cluster_slots_ok:${SLOTS}`))
        return `${node.port} says ${info}`;
      const replication = await node.cli('INFO', 'replication');
      if (/master_link_status:(?!up)/.test(replication)) return `${node.port} is not in sync: ${replication}`;
      views.push(await this.viewOf(node));
    }
    return disagreement(ids, views);
  }

  private anyone(): RedisServer {
    const node = this.nodes.find(({ answers }) => answers);
    if (!node) throw new Error('No node of the cluster runs');
    return node;
  }

  private async viewOf(node: RedisServer): Promise<NodeView[]> {
    return parseNodes(await node.cli('CLUSTER', 'NODES'));
  }

  private idOf(node: RedisServer): string {
    const found = [...this.byId].find(([, each]) => each === node);
    if (!found) throw new Error(`${node.address} is no node of this cluster`);
    return found[0];
  }
}

/** Asks until there is nothing to complain about, for a bounded time. */
async function until(complaint: () => Promise<string | undefined>): Promise<void> {
  const deadline = Date.now() + WITHIN_MS;
  for (;;) {
    const said = await complaint().catch(String);
    if (said === undefined) return;
    if (Date.now() > deadline) throw new Error(`The cluster is not there after ${WITHIN_MS} ms: ${said}`);
    await sleep(POLL_MS);
  }
}

/** When a node last asked for votes, in milliseconds since 1970; its log has the local time. */
function lastElection(log: string): number {
  const elections = [...log.matchAll(/(\d+ \w+ \d+ [\d:.]+) \S Starting a failover election/g)];
  return elections.length > 0 ? Date.parse(elections.at(-1)![1]!) : 0;
}
