import { expect, test } from '@jest/globals';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { exchange, lines } from '../../support/raw-http.js';
import { startServer } from '../../support/server.js';

/** Targets that may hold a value. */
const WITH_VALUES = [
  '/set?k=SECRET',
  '/set?k=a=SECRET',
  '/set?=SECRET',
  '/set?k&v=SECRET',
  '/set#?k=SECRET',
  '/set?#k=SECRET',
  '/set/?k=SECRET',
  '/SET?k=SECRET',
  '/%73et?k=SECRET',
  '//set?k=SECRET',
  '/sett?k=SECRET',
  '/?k=SECRET',
  '/getter?k=SECRET',
  '/get?k=SECRET',
  '/kvs?k=SECRET',
  'http://localhost/set?k=SECRET',
  'HTTP://localhost:4000/set#?k=SECRET',
  'http://user:SECRET@localhost/set?k=SECRET',
  'http://localhost?k=SECRET',
  'https://localhost/set?k=SECRET',
  'ftp://localhost/set?k=SECRET',
];

test('the log of requests never shows a value, whatever form the target has', async () => {
  const server = await startServer({ LOG_LEVEL: 'debug' });
  for (const target of WITH_VALUES) {
    const request = lines(`GET ${target} HTTP/1.1`, 'Host: localhost', 'Connection: close');
    expect((await exchange(server.port, request)).answers).toHaveLength(1);
  }
  const shown = ['/get?key=k', '/kv/a?ttl=60', '/kv?prefix=a', '/kv/a=b'];
  for (const target of shown) await ask(server.port, target, { agent: false });
  await ask(server.port, '/nothing?the=end', { agent: false });
  const logged = () => Object.values(server.output()).join('');
  await eventually(() => logged().includes('/nothing?the=…'), 'the last line');
  expect(logged()).not.toContain('SECRET');
  expect(logged()).not.toContain('user:');
  expect(logged().match(/GET /g)).toHaveLength(WITH_VALUES.length + shown.length + 1);
  for (const target of shown) expect(logged()).toContain(target);
  await server.end();
});
