import { describe, it } from '@jest/globals';
import { ask } from '../../support/http.js';
import { longDescribe, shortOrLong } from '../../support/long-run.js';
import { Random } from '../../support/random.js';
import { startCluster } from '../../support/redis-cluster.js';
import { describeOnRedis } from '../../support/redis.js';
import { startServer } from '../../support/server.js';
import { ADMIN, bearer, issue } from '../../support/tokens.js';
import { assertAlike, type Pair } from '../../support/twins/comparison.js';
import { Neighbour } from '../../support/twins/neighbour.js';
import { Steps } from '../../support/twins/steps.js';
import { Twin, type Address } from '../../support/twins/twin.js';
import { startWorkers } from '../../support/workers.js';

/*
 * A namespace is a database of its own: the same requests get the same answers from a server that nobody else uses and
 * from one with neighbours in it, byte for byte. What may differ is replaced (twin.ts).
 *
 * SEED and STEPS in the environment repeat a run.
 */
const NAMESPACE = 'app1/';
const SEED = Number(process.env['SEED'] ?? 1);
const SETTINGS = { MAX_VALUE_BYTES: '300000' };
const LONGEST_TEST_MS = 7_200_000;
const CONNECTIONS = 8;

type Start = (settings: Record<string, string>) => Promise<{ readonly port: number }>;

/** Takes steps on a server that `alone` starts, and in a namespace of one that `shared` starts. */
async function compare(
  count: number,
  alone: Start,
  shared: Start,
  { isUnordered, ...options }: Omit<Address, 'port'> = {},
): Promise<void> {
  const [one, other] = await Promise.all([alone(SETTINGS), shared({ ...SETTINGS, ADMIN_TOKEN: ADMIN })]);
  const { token } = await issue(other.port, { namespace: NAMESPACE, can: ['read', 'write'] });
  const addresses: [Address, Address] = [
    { port: one.port, isUnordered },
    { port: other.port, headers: bearer(token), isUnordered, ...options },
  ];
  const fresh = async (): Promise<Pair> => {
    for (const { port, headers } of addresses)
      await ask(port, '/kv?confirm=all', { method: 'DELETE', headers });
    return [new Twin(addresses[0]), new Twin(addresses[1], Neighbour.SIGNS)];
  };
  const steps = new Steps(new Random(SEED), !isUnordered);
  const all = Array.from({ length: Number(process.env['STEPS'] ?? count) }, () => steps.next());
  const neighbour = new Neighbour(other.port, bearer(ADMIN), NAMESPACE, new Random(SEED));
  neighbour.start();
  try {
    await assertAlike(all, fresh, `seed ${SEED}`);
  } finally {
    await neighbour.stop();
  }
}

describe('a namespace and a database of its own answer alike', () => {
  it(
    'whatever is asked',
    () => compare(shortOrLong(1_000, 100_000), startServer, startServer),
    LONGEST_TEST_MS,
  );
});

longDescribe('a namespace and a database of its own answer alike, whatever is asked', () => {
  it(
    'of two workers in turn',
    () => {
      const shared: Start = (settings) => startWorkers(2, settings);
      return compare(10_000, startServer, shared, { connections: CONNECTIONS });
    },
    LONGEST_TEST_MS,
  );
});

describeOnRedis(
  'a namespace and a database of its own answer alike',
  () => {
    const start: Start = async (settings) => {
      const cluster = await startCluster({ replicas: 0 });
      return startServer({ ...settings, DATABASE_URL: cluster.url });
    };

    it(
      'whatever is asked of a cluster',
      () => compare(5_000, start, start, { isUnordered: true }),
      LONGEST_TEST_MS,
    );
  },
  longDescribe,
);
