import { describe, expect, test } from '@jest/globals';
import type { IncomingMessage } from 'node:http';
import { ClientAddresses, networkOf } from '../../../src/http/request/client-address.js';

describe('the network that counts as one client', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:c000:0207', '192.0.2.7'],
    ['0:0:0:0:0:ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8::1:2:3:4:5', '2001:db8:0:1::/64'],
    ['2001:db8::3:192.0.2.7', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
  ])('of %s is %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe('the address of a client', () => {
  /** A request on a connection from `from`. */
  function requestFrom(from: string | undefined, forwarded?: string): IncomingMessage {
    const headers = { 'x-forwarded-for': forwarded };
    return { socket: { remoteAddress: from }, headers } as unknown as IncomingMessage;
  }

  const PROXIES = ['10.0.0.0/8', '127.0.0.1/32', '2001:db8:1::/48', '::1/128'];
  const through = (from: string | undefined, forwarded?: string) =>
    new ClientAddresses(PROXIES).of(requestFrom(from, forwarded));

  test.each<[from: string | undefined, forwarded: string | undefined, address: string]>([
    // Who is no proxy of ours may say what it likes.
    ['192.0.2.7', undefined, '192.0.2.7'],
    ['192.0.2.7', '198.51.100.1', '192.0.2.7'],
    ['11.0.0.1', '198.51.100.1', '11.0.0.1'],
    // A proxy adds the client at the end; what the client has sent stands before it.
    ['127.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['127.0.0.1', '1.1.1.1, 198.51.100.1', '198.51.100.1'],
    ['127.0.0.1', '10.9.9.9, 198.51.100.1', '198.51.100.1'],
    ['::1', '127.0.0.1,2001:DB8:2::7', '2001:db8:2::7'],
    // Proxies behind proxies.
    ['127.0.0.1', '1.1.1.1, 198.51.100.1, 10.1.1.1', '198.51.100.1'],
    ['10.1.1.1', '198.51.100.1, 2001:db8:1::5, 10.2.2.2', '198.51.100.1'],
    ['10.1.1.1', '10.3.3.3, 10.2.2.2', '10.3.3.3'],
    // IPv4 in IPv6 is IPv4, with whatever spelling.
    ['::ffff:127.0.0.1', '::FFFF:198.51.100.1', '198.51.100.1'],
    ['::ffff:10.0.0.1', '198.51.100.1, ::ffff:a00:1', '198.51.100.1'],
    ['::ffff:192.0.2.7', undefined, '192.0.2.7'],
    // Ports, brackets, zones, empty elements.
    ['127.0.0.1', '198.51.100.1:4711', '198.51.100.1'],
    ['127.0.0.1', '[2001:db8:2::7]:4711', '2001:db8:2::7'],
    ['127.0.0.1', '[2001:db8:2::7]', '2001:db8:2::7'],
    ['fe80::1%eth0', '198.51.100.1', 'fe80::1'],
    ['127.0.0.1', ' , 198.51.100.1 , , ', '198.51.100.1'],
    // What is no address says nothing, and nobody answers for what stands before it.
    ['127.0.0.1', undefined, '127.0.0.1'],
    ['127.0.0.1', '', '127.0.0.1'],
    ['127.0.0.1', 'unknown', '127.0.0.1'],
    ['127.0.0.1', '198.51.100.1, unknown', '127.0.0.1'],
    ['127.0.0.1', '198.51.100.1, _hidden, 10.2.2.2', '10.2.2.2'],
    ['127.0.0.1', '198.51.100.999', '127.0.0.1'],
    ['127.0.0.1', '198.51.100.1; DROP', '127.0.0.1'],
    ['127.0.0.1', '[::1', '127.0.0.1'],
    ['127.0.0.1', '[198.51.100.1]x', '127.0.0.1'],
    // The connection has ended.
    [undefined, '198.51.100.1', ''],
  ])('is, from %s with %j, %s', (from, forwarded, address) => {
    expect(through(from, forwarded)).toBe(address);
  });

  test('is that of the connection where no proxy is trusted', () => {
    expect(new ClientAddresses([]).of(requestFrom('127.0.0.1', '198.51.100.1'))).toBe('127.0.0.1');
    expect(new ClientAddresses([]).of(requestFrom('::ffff:127.0.0.1'))).toBe('127.0.0.1');
  });

  test('is the first of all where everybody is trusted', () => {
    const all = new ClientAddresses(['0.0.0.0/0', '::/0']);
    expect(all.of(requestFrom('192.0.2.7', '198.51.100.1, 2001:db8::1'))).toBe('198.51.100.1');
  });
});
