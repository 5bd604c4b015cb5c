import { describe, expect, it } from '@jest/globals';
import { withoutPassword } from '../../../../src/storage/engine-factory.js';
import { parseRedisUrl, type RedisUrl } from '../../../../src/storage/redis/cluster-client/redis-url.js';

const LOCAL: RedisUrl = {
  cluster: false,
  tls: false,
  seeds: [{ host: '127.0.0.1', port: 6379 }],
  username: undefined,
  password: undefined,
  database: 0,
  partitions: 1,
};

describe('a URL of Redis', () => {
  it.each<[url: string, differs: Partial<RedisUrl>]>([
    ['redis://127.0.0.1', {}],
    ['redis://127.0.0.1/', {}],
    ['redis://127.0.0.1:6379/0', {}],
    ['redis://127.0.0.1/15', { database: 15 }],
    ['rediss://127.0.0.1', { tls: true }],
    ['redis://db.example:7000', { seeds: [{ host: 'db.example', port: 7000 }] }],
    ['redis://[::1]:7000', { seeds: [{ host: '::1', port: 7000 }] }],
    ['redis://[::1]', { seeds: [{ host: '::1', port: 6379 }] }],
    ['redis://:secret@127.0.0.1', { password: 'secret' }],
    ['redis://user:secret@127.0.0.1', { username: 'user', password: 'secret' }],
    ['redis://user@127.0.0.1', { username: 'user' }],
    ['redis://@127.0.0.1', {}],
    ['redis://u%40:a%3Ab%2Fc%40%25@127.0.0.1', { username: 'u@', password: 'a:b/c@%' }],
    ['redis://:a:b?c#d@127.0.0.1', { password: 'a:b?c#d' }],
    ['redis+cluster://127.0.0.1', { cluster: true, partitions: 256 }],
    ['redis+cluster://127.0.0.1?partitions=16384', { cluster: true, partitions: 16_384 }],
    [
      'rediss+cluster://u:p@a:1,[::2]:2,c',
      {
        cluster: true,
        tls: true,
        seeds: [
          { host: 'a', port: 1 },
          { host: '::2', port: 2 },
          { host: 'c', port: 6379 },
        ],
        username: 'u',
        password: 'p',
        partitions: 256,
      },
    ],
  ])('%s', (url, differs) => {
    expect(parseRedisUrl(url)).toEqual({ ...LOCAL, ...differs });
  });

  it.each([
    'redis:',
    'redis:127.0.0.1',
    'redis://',
    'redis:///1',
    'redis://user:secret@',
    'redis://host:0',
    'redis://host:65536',
    'redis://host:port',
    'redis://host:',
    'redis://::1',
    'redis://[::1',
    'redis://ho st',
    'redis://host/x',
    'redis://host/-1',
    'redis://host/10000',
    'redis://host/1/2',
    'redis://:se/cret@host',
    'redis://:se@cret@host',
    'redis://:secret%zz@host',
    'redis://a,b',
    'redis+cluster://host/1',
    'redis+cluster://a,,b',
    'redis+cluster://a,',
    'redis+cluster://a?partitions=0',
    'redis+cluster://a?partitions=16385',
    'redis+cluster://a?partitions=',
    'redis://host?db=1',
    'redis+clusters://host',
    'redis+sentinel://host',
    'REDIS://host',
    ' redis://host',
    'redis://host\n',
  ])('%j is none', (url) => {
    expect(parseRedisUrl(url)).toBeUndefined();
  });

  it.each([
    ['redis://:secret@host:1', 'redis://:***@host:1'],
    ['rediss+cluster://user:secret@a:1,b:2', 'rediss+cluster://user:***@a:1,b:2'],
    ['redis://user:@host', 'redis://user:***@host'],
    ['redis://user:a:b%40@host/1', 'redis://user:***@host/1'],
    ['redis://user@host', 'redis://user@host'],
    ['redis://host', 'redis://host'],
    ['lmdb:./data:x@y', 'lmdb:./data:x@y'],
  ])('%s is shown without its password', (url, shown) => {
    expect(withoutPassword(url)).toBe(shown);
  });
});
