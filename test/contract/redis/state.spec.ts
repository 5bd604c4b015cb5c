import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RedisEngine } from '../../../src/storage/redis/engine.js';
import { eventually } from '../../support/eventually.js';
import { compilePreload } from '../../support/machine.js';
import type { RedisServer } from '../../support/redis-server.js';
import { describeOnRedis, startRedis } from '../../support/redis.js';
import { describeWhere } from '../../support/requires.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { redisEngine } from '../engines.js';
import { codeOf, put, putOf } from '../shorthand.js';

/** The rights of a user before it loses some. */
const ALL = ['on', 'nopass', '~*', '&*', '+@all'];
const FOUR_MIB = 4 * 2 ** 20;

const shim = compilePreload('failing-disk', temporaryFolder());
const describeDisk = describeWhere(shim !== undefined, 'there is no gcc to make a disk that fails');

describeOnRedis('the state of an engine on Redis', (binary) => {
  let redis: RedisServer;
  let engine: RedisEngine;
  const config = (...settings: string[]): Promise<string> => redis.cli('CONFIG', 'SET', ...settings);

  beforeAll(async () => {
    redis = await startRedis({ binary, args: ['--save', ''] });
  });
  beforeEach(async () => {
    await redis.cli('ACL', 'SETUSER', 'pigeonhole', ...ALL);
    await open();
  });
  afterEach(() => engine.close());
  afterAll(() => redis.stop());

  async function open(waitReplicas = 0): Promise<void> {
    engine = redisEngine(redis.url.replace('redis://', 'redis://pigeonhole:any@'), { waitReplicas });
    await engine.open();
  }

  async function notes(): Promise<string> {
    return (await engine.state()).notes.join('\n');
  }

  async function expectNotReady(why: RegExp): Promise<void> {
    const begun = performance.now();
    expect(await engine.state()).toMatchObject({
      ready: false,
      notes: expect.arrayContaining([expect.stringMatching(why)]),
    });
    // The promise of `state`, and what a busy machine adds.
    expect(performance.now() - begun).toBeLessThan(20_000);
  }

  const isReady = async (): Promise<boolean> => (await engine.state()).ready;

  it('is ready with notes where an answered write may be lost', async () => {
    await config('appendonly', 'no');
    expect(await engine.state()).toMatchObject({ ready: true });
    expect(await notes()).toContain('appendonly is off, so a restart loses everything.');
    await config('save', '3600 1');
    expect(await notes()).toContain(
      'appendonly is off, so a restart loses all writes since its last snapshot.',
    );
    await config('maxmemory-policy', 'allkeys-lru');
    expect(await engine.state()).toMatchObject({ ready: true });
    expect(await notes()).toContain('maxmemory-policy is allkeys-lru, so acknowledged writes can vanish.');
    await config('maxmemory-policy', 'noeviction');
    expect(await notes()).not.toContain('maxmemory-policy');
  });

  it('is not ready while memory is full, when puts fail, and ready again once there is space', async () => {
    await put(engine, 'a', 'x');
    await config('maxmemory', '1');
    await expectNotReady(/its memory is full/);
    expect(await codeOf(engine.write(putOf('b', 'x')))).toBe('disk-full');
    await config('maxmemory', '0');
    expect(await isReady()).toBe(true);
    await put(engine, 'b', Buffer.alloc(FOUR_MIB).toString());
  });

  it('is not ready while its user may not write, and says what that lacks', async () => {
    await redis.cli('ACL', 'SETUSER', 'pigeonhole', '-@write');
    await expectNotReady(/its user lacks /);
    await redis.cli('ACL', 'SETUSER', 'pigeonhole', ...ALL);
    expect(await isReady()).toBe(true);
  });

  it('is not ready while there are fewer replicas than a write waits for', async () => {
    await engine.close();
    await open(1);
    await expectNotReady(/WAIT_REPLICAS is 1, and it has 0: writes answer 504\./);
    const replica = await startRedis({ binary, args: ['--replicaof', '127.0.0.1', String(redis.port)] });
    await eventually(isReady, 'ready with a replica');
    await replica.stop();
    await eventually(async () => !(await isReady()), 'not ready without');
  });

  it('is not ready while there are fewer replicas than the server asks for itself', async () => {
    await config('min-replicas-to-write', '1');
    await expectNotReady(/min-replicas-to-write is 1, and 0 are in time: it refuses writes\./);
    await config('min-replicas-to-write', '0');
    expect(await isReady()).toBe(true);
  });

  it('is not ready while the server is a replica', async () => {
    // Of a primary that is not there, so that it keeps its data.
    await redis.cli('REPLICAOF', '127.0.0.1', '1');
    await expectNotReady(/it is a replica, which takes no writes/);
    await redis.cli('REPLICAOF', 'NO', 'ONE');
    expect(await isReady()).toBe(true);
  });

  it('is not ready while the server stands still or is gone, and ready again by itself', async () => {
    redis.pause();
    await expectNotReady(/does not answer/);
    redis.resume();
    await eventually(isReady, 'ready again');
    await redis.kill();
    await expectNotReady(/does not answer/);
    await redis.restart();
    await redis.cli('ACL', 'SETUSER', 'pigeonhole', ...ALL);
    await eventually(isReady, 'ready after a restart');
  });
});

describeDisk('a disk that takes no more', () => {
  /** What fails of which files of Redis, and what brings that about. */
  const FILES = [
    {
      file: '.aof',
      calls: 'write',
      args: ['--appendonly', 'yes', '--appendfsync', 'everysec'],
      bringAbout: async () => undefined,
      why: /its append-only file cannot be written, so it refuses writes\./,
    },
    {
      file: '.rdb',
      calls: 'sync',
      args: ['--appendonly', 'no', '--save', '3600 1000000'],
      bringAbout: async (redis: RedisServer) => void (await redis.cli('BGSAVE')),
      why: /its last snapshot failed \(stop-writes-on-bgsave-error\), so it refuses writes\./,
    },
  ];
  const NO_SPACE = '28';

  describeOnRedis('of an engine on Redis', (binary) => {
    it.each(FILES)(
      'is told as the reason for which the server is not ready: %j',
      async ({ file, calls, args, bringAbout, why }) => {
        const flag = join(temporaryFolder(), 'flag');
        const failing = { FAIL_FLAG: flag, FAIL_FILE: file, FAIL_CALLS: calls, FAIL_ERRNO: NO_SPACE };
        const redis = await startRedis({ binary, args, env: { LD_PRELOAD: shim!, ...failing } });
        const engine = redisEngine(redis.url);
        await engine.open();
        await put(engine, 'a', 'x');
        expect(await engine.state()).toMatchObject({ ready: true });

        writeFileSync(flag, '');
        await bringAbout(redis);
        await eventually(async () => {
          await codeOf(engine.write(putOf('b', 'x')));
          return !(await engine.state()).ready;
        }, 'not ready');
        const { notes } = await engine.state();
        expect(notes).toEqual(expect.arrayContaining([expect.stringMatching(why)]));
        expect(await codeOf(engine.write(putOf('c', 'x')))).toBe('unavailable');
        expect((await engine.get('a'))?.value.toString()).toBe('x');

        rmSync(flag);
        await bringAbout(redis);
        await eventually(async () => (await engine.state()).ready, 'ready again');
        await put(engine, 'd', 'x');
        await engine.close();
        await redis.stop();
      },
    );
  });
});
