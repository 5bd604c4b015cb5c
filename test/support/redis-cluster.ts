import { setTimeout as sleep } from 'node:timers/promises';
import { HANG_MS } from './eventually.js';
import { startRedis, type RedisOptions } from './redis.js';
import { disagreement, parseNodes, type NodeView } from './redis-cluster-view.js';
import { userInfo, type RedisServer } from './redis-server.js';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js';

const SLOTS = 16_384;
const POLL_MS = 100;
/** After so long a replica has given up a manual failover (CLUSTER_MF_TIMEOUT is 5 s). */
const FAILOVER_TIMEOUT_MS = 6_000;

/** After how long a node that does not reply counts as failed (cluster-node-timeout), milliseconds. */
export const NODE_TIMEOUT_MS = 3000;
/** By a clock that jumps, every node would seem to be gone. */
const NO_NODE_TIMEOUT_MS = 100 * 365 * 86_400_000;

export interface ClusterOptions extends RedisOptions {
  readonly primaries?: number;
  /** Of each primary. */
  readonly replicas?: number;
  /** Whether a proxy stands before each node, whose port the node announces from the start; see `proxy`. */
  readonly proxied?: boolean;
}

/** Starts a cluster on loopback ports and waits until it is healthy. The first nodes are the primaries, in slot order. */
export async function startCluster(options: ClusterOptions = {}): Promise<RedisCluster> {
  const { primaries = 3, replicas = 1, args = [], ...rest } = options;
  const nodeTimeout = options.time ? NO_NODE_TIMEOUT_MS : NODE_TIMEOUT_MS;
  const settings = ['--cluster-enabled', 'yes', '--cluster-node-timeout', `${nodeTimeout}`, ...args];
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

/** Several servers as one Redis Cluster. A single node is killed, paused and restarted by its own methods. */
export class RedisCluster {
  /** With `proxied`, in the order of the nodes. */
  readonly proxies: TcpProxy[] = [];
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
   * Does what `redis-cli --cluster create` does, but waits for each condition itself instead of in steps of a second.
   */
  async create(primaries: number): Promise<void> {
    if (this.options.proxied) {
      for (const node of this.nodes) this.proxies.push(await announceProxy(node));
    }
    await Promise.all(this.nodes.map((node, i) => this.prepare(node, i, primaries)));
    for (const [i, node] of this.nodes.entries()) {
      const others = this.nodes.slice(i + 1);
      await Promise.all(others.map(({ port }) => node.cli('CLUSTER', 'MEET', '127.0.0.1', `${port}`)));
    }
    await Promise.all(this.nodes.slice(primaries).map((node, i) => this.replicate(node, i % primaries)));
    await this.waitHealthy();
  }

  /** The primary of a key or a slot, as the first running node knows it. */
  async primaryOf(what: string | number): Promise<RedisServer> {
    const slot =
      typeof what === 'number' ? what : Number(await this.runningNode().cli('CLUSTER', 'KEYSLOT', what));
    const views = await this.viewOf(this.runningNode());
    const owner = views.find(({ slots }) => slots.some(([first, last]) => first <= slot && slot <= last));
    if (!owner) throw new Error(`No node of the cluster serves slot ${slot}`);
    return this.byId.get(owner.id)!;
  }

  /** The replicas of a primary, as the first running node knows them. */
  async replicasOf(primary: RedisServer): Promise<RedisServer[]> {
    const id = this.idOf(primary);
    const views = await this.viewOf(this.runningNode());
    return views.filter((view) => view.primary === id).map((view) => this.byId.get(view.id)!);
  }

  /**
   * Makes a replica the primary without loss (CLUSTER FAILOVER) and waits until every node knows. First it waits until four
   * node timeouts after the replica's last election: before, the replica may count the old votes as new ones
   * (https://github.com/valkey-io/valkey/pull/1274), take over without an election, be overruled, and lose writes.
   */
  async failover(replica: RedisServer): Promise<void> {
    await this.takeOver(replica);
    await this.waitHealthy();
    if (!(await replica.cli('ROLE')).startsWith('master')) throw new Error('The new primary was overruled');
  }

  /** Does what `failover` does, without waiting until the others know. */
  async takeOver(replica: RedisServer): Promise<void> {
    const [, timeout] = (await replica.cli('CONFIG', 'GET', 'cluster-node-timeout')).split('\n').map(Number);
    await sleep(Math.max(0, lastElection(replica.log()) + 4 * timeout! + 500 - Date.now()));
    let askedAt = -Infinity;
    await until(async () => {
      if ((await replica.cli('ROLE')).startsWith('master')) return undefined;
      // A replica that has no connection to its primary gives up.
      if (Date.now() - askedAt > FAILOVER_TIMEOUT_MS) {
        askedAt = Date.now();
        await replica.cli('CLUSTER', 'FAILOVER');
      }
      return 'the replica is no primary yet';
    });
  }

  /** Moves one slot with its keys, from node to node and not through a proxy, without waiting until every node knows. */
  async moveSlot(slot: number, to: RedisServer): Promise<void> {
    const from = await this.primaryOf(slot);
    if (from === to) return;
    const [source, target] = [this.idOf(from), this.idOf(to)];
    await to.cli('CLUSTER', 'SETSLOT', `${slot}`, 'IMPORTING', source);
    await from.cli('CLUSTER', 'SETSLOT', `${slot}`, 'MIGRATING', target);
    for (;;) {
      const keys = await from.cli('CLUSTER', 'GETKEYSINSLOT', `${slot}`, '4');
      if (keys === '') break;
      await from.cli(
        'MIGRATE',
        '127.0.0.1',
        `${to.port}`,
        '',
        '0',
        `${HANG_MS}`,
        'KEYS',
        ...keys.split('\n'),
      );
    }
    // The target first: else nobody would serve the slot if the source knew alone.
    for (const node of [to, from]) await node.cli('CLUSTER', 'SETSLOT', `${slot}`, 'NODE', target);
  }

  /** Moves `slots` slots with their keys from one primary to another and waits until every node knows. */
  async reshard(from: RedisServer, to: RedisServer, slots: number): Promise<void> {
    const move = ['--cluster-from', this.idOf(from), '--cluster-to', this.idOf(to)];
    const how = ['--cluster-slots', `${slots}`, '--cluster-yes'];
    await from.cli('--cluster', 'reshard', from.address, ...move, ...how);
    await this.waitHealthy();
  }

  /**
   * Puts a proxy before a primary, and waits until every node announces its port. Its replicas use the proxy, and so do
   * clients whom the cluster redirects, but not those that connect by `url`. A restart of the node ends that.
   */
  async proxy(node: RedisServer): Promise<TcpProxy> {
    const proxy = await announceProxy(node);
    await until(async () => {
      const running = this.nodes.filter(({ isRunning }) => isRunning);
      const views = await Promise.all(running.map((each) => each.cli('CLUSTER', 'NODES')));
      return views.every((view) => view.includes(`:${proxy.port}@`))
        ? undefined
        : 'not all nodes know the proxy';
    });
    await this.waitHealthy();
    return proxy;
  }

  /**
   * Waits until every running node reports a healthy cluster, all of them agree on slots and replicas, the primary of every
   * slot is one of them, and their replicas are in sync.
   */
  async waitHealthy(): Promise<void> {
    await until(() => this.whyUnhealthy());
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

  /** Why the cluster is not healthy; undefined if it is. */
  private async whyUnhealthy(): Promise<string | undefined> {
    const running = this.nodes.filter((node) => node.isRunning);
    const ids = running.map((node) => this.idOf(node));
    const views: NodeView[][] = [];
    for (const node of running) {
      const info = await node.cli('CLUSTER', 'INFO');
      if (!/cluster_state:ok/.test(info) || !info.includes(`cluster_slots_ok:${SLOTS}`))
        return `${node.port} reports ${info}`;
      const replication = await node.cli('INFO', 'replication');
      if (/master_link_status:(?!up)/.test(replication)) return `${node.port} is not in sync: ${replication}`;
      views.push(await this.viewOf(node));
    }
    return disagreement(ids, views);
  }

  private runningNode(): RedisServer {
    const node = this.nodes.find(({ isRunning }) => isRunning);
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

async function announceProxy(node: RedisServer): Promise<TcpProxy> {
  const proxy = await startTcpProxy(node.port);
  await node.cli('CONFIG', 'SET', 'cluster-announce-port', `${proxy.port}`);
  return proxy;
}

/** Waits until `obstacle` returns undefined, for a bounded time. */
async function until(obstacle: () => Promise<string | undefined>): Promise<void> {
  const deadline = Date.now() + HANG_MS;
  for (;;) {
    const reason = await obstacle().catch(String);
    if (reason === undefined) return;
    if (Date.now() > deadline) throw new Error(`The cluster is not there after ${HANG_MS} ms: ${reason}`);
    await sleep(POLL_MS);
  }
}

/** When a node last started an election, milliseconds since 1970. Its log has the local time. */
function lastElection(log: string): number {
  const elections = [...log.matchAll(/(\d+ \w+ \d+ [\d:.]+) \S Starting a failover election/g)];
  return elections.length > 0 ? Date.parse(elections.at(-1)![1]!) : 0;
}
