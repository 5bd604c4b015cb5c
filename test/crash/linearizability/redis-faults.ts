import { setTimeout as pause } from 'node:timers/promises';
import { shortOrLong } from '../../support/long-run.js';
import type { Random } from '../../support/random.js';
import type { RedisCluster } from '../../support/redis-cluster.js';
import type { RedisServer } from '../../support/redis-server.js';
import type { TcpProxy } from '../../support/tcp-proxy.js';

const MAX_QUIET_MS = 150;
const MAX_LATE_MS = 60;
const MAX_FAULT_MS = 250;
const CUT_WITHIN_BYTES = 2_000;
const SLOTS = 16_384;
const MIN_PAUSED_MS = 200;
const MAX_PAUSED_MS = shortOrLong(600, 2_000);

/** What stands between the Pigeonhole servers and their data. */
export interface Surroundings {
  readonly nodes: readonly RedisServer[];
  readonly proxies: readonly TcpProxy[];
  readonly cluster?: RedisCluster;
}

/** Makes things fail while clients work, and counts how often. */
export class RedisFaults {
  readonly counts = new Map<string, number>();
  private readonly ofNetwork: Record<string, () => Promise<void>> = {
    'lost answers': async () => this.proxy.loseAnswers(),
    'late requests whose answers are lost': () => this.loseLate(),
    delays: () => this.delay(),
    cuts: () => this.cut(),
  };
  private readonly ofServers: Record<string, () => Promise<void>> = {
    'clients killed': async () => void (await this.node.cli('CLIENT', 'KILL', 'TYPE', 'normal')),
    pauses: () => this.pauseServer(),
  };
  private moves = 0;

  constructor(
    private readonly random: Random,
    private readonly surroundings: Surroundings,
  ) {}

  /** Makes things fail, one after the other, until `isOver`. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) await this.fail({ ...this.ofNetwork, ...this.ofServers });
  }

  /** Gives the slots of a primary, or one of them, to another server, while the network fails. */
  async reshape(slots: readonly number[]): Promise<void> {
    const { cluster } = this.surroundings;
    if (!cluster) return;
    let isOver = false;
    const slot = slots[this.moves % slots.length]!;
    const isFailover = this.moves++ % 2 === 0;
    const reshaping = isFailover ? this.failOver(cluster, slot) : this.move(cluster, slot);
    const failing = async () => {
      // Replicas use the proxies too, and one that is cut off cannot take over.
      while (!isOver) await this.fail(isFailover ? { delays: this.ofNetwork['delays']! } : this.ofNetwork);
    };
    await Promise.all([failing(), reshaping.finally(() => (isOver = true))]);
  }

  describe(): string {
    return [...this.counts].map(([name, count]) => `${count} ${name}`).join(', ');
  }

  private async fail(faults: Record<string, () => Promise<void>>): Promise<void> {
    await pause(this.random.below(MAX_QUIET_MS));
    const [name, fault] = this.random.pick(Object.entries(faults));
    this.count(name);
    await fault();
  }

  private async failOver(cluster: RedisCluster, slot: number): Promise<void> {
    this.count('failovers');
    const [replica] = await cluster.replicasOf(await cluster.primaryOf(slot));
    await cluster.takeOver(replica!);
  }

  private async move(cluster: RedisCluster, slot: number): Promise<void> {
    this.count('moves of a slot');
    await cluster.moveSlot(slot, await cluster.primaryOf(SLOTS - 1 - slot));
  }

  private get proxy(): TcpProxy {
    return this.random.pick(this.surroundings.proxies);
  }

  private get node(): RedisServer {
    return this.random.pick(this.surroundings.nodes);
  }

  /** What a client gave up arrives after what it has sent since, on another connection. */
  private async loseLate(): Promise<void> {
    const { proxy } = this;
    proxy.delay(() => this.random.below(2) * MAX_LATE_MS);
    await pause(this.random.below(MAX_LATE_MS));
    proxy.loseAnswers();
    await pause(this.random.below(MAX_LATE_MS));
    proxy.restore();
  }

  private async delay(): Promise<void> {
    const { proxy } = this;
    proxy.delay(() => this.random.below(MAX_LATE_MS));
    await pause(this.random.below(MAX_FAULT_MS));
    proxy.restore();
  }

  private async cut(): Promise<void> {
    const { proxy } = this;
    proxy.cutAfter(this.random.below(CUT_WITHIN_BYTES), this.random.pick(['request', 'answer']));
    await pause(this.random.below(MAX_FAULT_MS));
    proxy.restore();
  }

  private async pauseServer(): Promise<void> {
    const { node } = this;
    node.pause();
    await pause(MIN_PAUSED_MS + this.random.below(MAX_PAUSED_MS - MIN_PAUSED_MS));
    node.resume();
  }

  private count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}
