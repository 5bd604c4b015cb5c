import { lines } from '../../support/raw-http.js';

const SET = 'GET /set?k=v HTTP/1.1';
export const GET = 'GET /get?key=before HTTP/1.1';
export const HOST = 'Host: localhost';

export interface RawCase {
  readonly input: string;
  readonly bytes: string;
  /** One of these; where HTTP leaves a choice there are several. */
  readonly status: readonly number[];
}

/** What is no request that can be answered: mostly 400, and the connection is closed. */
export const MALFORMED: RawCase[] = [
  { input: 'an empty Host', bytes: lines(SET, 'Host:'), status: [400, 421] },
  { input: 'no Host', bytes: lines(SET), status: [400] },
  { input: 'two Hosts', bytes: lines(SET, HOST, HOST), status: [400] },
  {
    input: 'two Hosts, the second foreign',
    bytes: lines(SET, HOST, 'host: evil.example'),
    status: [400],
  },
  {
    input: 'Content-Length and chunked',
    bytes: post('Content-Length: 5', 'Transfer-Encoding: chunked'),
    status: [400],
  },
  {
    input: 'chunked and Content-Length',
    bytes: post('Transfer-Encoding: chunked', 'Content-Length: 5'),
    status: [400],
  },
  { input: 'two Content-Lengths', bytes: post('Content-Length: 5', 'Content-Length: 6'), status: [400] },
  {
    input: 'two equal Content-Lengths',
    bytes: post('Content-Length: 5', 'Content-Length: 5'),
    status: [400],
  },
  { input: 'a signed Content-Length', bytes: post('Content-Length: +5'), status: [400] },
  { input: 'a negative Content-Length', bytes: post('Content-Length: -5'), status: [400] },
  { input: 'a hexadecimal Content-Length', bytes: post('Content-Length: 0x5'), status: [400] },
  { input: 'a listed Content-Length', bytes: post('Content-Length: 5, 5'), status: [400] },
  { input: 'an endless Content-Length', bytes: post(`Content-Length: 1${'0'.repeat(30)}`), status: [400] },
  { input: 'chunked that is not last', bytes: post('Transfer-Encoding: chunked, gzip'), status: [400] },
  { input: 'an unknown transfer coding', bytes: post('Transfer-Encoding: xchunked'), status: [400] },
  { input: 'a space before the colon', bytes: lines(SET, 'Host : localhost'), status: [400] },
  { input: 'a header without a colon', bytes: lines(SET, HOST, 'nonsense'), status: [400] },
  { input: 'a header without a name', bytes: lines(SET, HOST, ': v'), status: [400] },
  { input: 'NUL in a header', bytes: lines(SET, HOST, 'X-A: a\0b'), status: [400] },
  { input: 'NUL in the URL', bytes: lines('GET /set?k=\0v HTTP/1.1', HOST), status: [400] },
  { input: 'a control character in the URL', bytes: lines('GET /set?k=\x01v HTTP/1.1', HOST), status: [400] },
  { input: 'a space in the URL', bytes: lines('GET /set?k=a b HTTP/1.1', HOST), status: [400] },
  { input: 'a tab in the URL', bytes: lines('GET /set?k=a\tb HTTP/1.1', HOST), status: [400] },
  { input: 'a bare CR in a header', bytes: lines(SET, HOST, 'X-A: a\rX-B: b'), status: [400] },
  { input: 'a bare LF in the head', bytes: `${SET}\n${HOST}\n\n`, status: [400] },
  { input: 'a folded header', bytes: lines(SET, HOST, 'X-A: a', ' b'), status: [400] },
  { input: 'a folded Host', bytes: lines(SET, 'Host:', ' localhost'), status: [400, 421] },
  { input: 'an unknown method', bytes: lines('FOO /set?k=v HTTP/1.1', HOST), status: [400] },
  { input: 'a lower-case method', bytes: lines('get /set?k=v HTTP/1.1', HOST), status: [400] },
  { input: 'HTTP/2 with prior knowledge', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', status: [505] },
  { input: 'an unknown version', bytes: lines('GET /set?k=v HTTP/3.0', HOST), status: [505] },
  { input: 'HTTP/2.0 in the request line', bytes: lines('GET /set?k=v HTTP/2.0', HOST), status: [505] },
  { input: 'HTTP/0.9', bytes: 'GET /set?k=v\r\n\r\n', status: [505] },
  { input: 'a TLS hello', bytes: '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03', status: [400] },
  { input: 'another protocol', bytes: 'EHLO localhost\r\n', status: [400] },
  { input: 'a Redis command', bytes: '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n', status: [400] },
  {
    input: 'a target that is neither path nor URL',
    bytes: lines('GET set?k=v HTTP/1.1', HOST),
    status: [400],
  },
  {
    input: 'a target of another scheme',
    bytes: lines('GET ftp://localhost/set?k=v HTTP/1.1', HOST),
    status: [400],
  },
  { input: 'a URL of 70 kB', bytes: lines(`GET /set?k=${'v'.repeat(70_000)} HTTP/1.1`, HOST), status: [431] },
  { input: 'a header of 70 kB', bytes: lines(SET, HOST, `X-A: ${'v'.repeat(70_000)}`), status: [431] },
  { input: 'a header name of 70 kB', bytes: lines(SET, HOST, `${'N'.repeat(70_000)}: v`), status: [431] },
  {
    input: 'many headers of 70 kB',
    bytes: lines(SET, HOST, ...headers(150, 'v'.repeat(470))),
    status: [431],
  },
  { input: '201 headers', bytes: lines(SET, HOST, ...headers(200, 'v')), status: [431] },
  { input: '3000 headers', bytes: lines(SET, HOST, ...headers(2999, '')), status: [431] },
  {
    input: 'a guard hidden behind 2000 headers',
    bytes: lines(SET, HOST, ...headers(2000, ''), 'Sec-Fetch-Site: cross-site'),
    status: [431],
  },
  { input: 'an unknown expectation', bytes: lines(SET, HOST, 'Expect: foo'), status: [417] },
];

/** Targets that are URLs: the authority in them is checked, and wins over Host (RFC 9112, 3.2.2). */
export const TARGETS: RawCase[] = [
  {
    input: 'a good authority',
    bytes: lines('GET http://127.0.0.1/get?key=before HTTP/1.1', HOST),
    status: [200],
  },
  {
    input: 'a good authority with a port',
    bytes: lines('GET HTTP://LocalHost:1/get?key=before HTTP/1.1', HOST),
    status: [200],
  },
  {
    input: 'a good authority over a foreign Host',
    bytes: lines('GET http://localhost/get?key=before HTTP/1.1', 'Host: evil.example'),
    status: [200],
  },
  { input: 'no path', bytes: lines('GET http://localhost HTTP/1.1', HOST), status: [200] },
  { input: 'no path but a query', bytes: lines('GET http://localhost?k=v HTTP/1.1', HOST), status: [200] },
  {
    input: 'a foreign authority',
    bytes: lines('GET http://evil.example/set?k=v HTTP/1.1', HOST),
    status: [421],
  },
  {
    input: 'a foreign authority on https',
    bytes: lines('GET https://evil.example/set?k=v HTTP/1.1', HOST),
    status: [421],
  },
  {
    input: 'user information',
    bytes: lines('GET http://localhost@evil.example/set?k=v HTTP/1.1', HOST),
    status: [421, 400],
  },
  {
    input: 'our name as user information',
    bytes: lines('GET http://evil.example@localhost/set?k=v HTTP/1.1', HOST),
    status: [421, 400],
  },
  { input: 'an empty authority', bytes: lines('GET http:///set?k=v HTTP/1.1', HOST), status: [421, 400] },
  { input: 'a backslash', bytes: lines('GET http:\\\\localhost/set?k=v HTTP/1.1', HOST), status: [400] },
  {
    input: 'a foreign write in a fragment',
    bytes: lines('GET /set#x?k=v HTTP/1.1', HOST, 'Sec-Fetch-Site: cross-site'),
    status: [400, 403, 404],
  },
  { input: 'OPTIONS *', bytes: lines('OPTIONS * HTTP/1.1', HOST), status: [204] },
  { input: 'GET *', bytes: lines('GET * HTTP/1.1', HOST), status: [400] },
  {
    input: 'OPTIONS * with a foreign Host',
    bytes: lines('OPTIONS * HTTP/1.1', 'Host: evil.example'),
    status: [421],
  },
  { input: 'TRACE', bytes: lines('TRACE /set?k=v HTTP/1.1', HOST, 'X-Secret: s'), status: [405] },
  {
    input: 'an upgrade to HTTP/2',
    bytes: lines(
      GET,
      HOST,
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAAQAAP__',
    ),
    status: [200],
  },
  {
    input: 'an upgrade to WebSocket',
    bytes: lines(GET, HOST, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x'),
    status: [200],
  },
  { input: 'HTTP/1.0 with a Host', bytes: lines('GET /get?key=before HTTP/1.0', HOST), status: [200] },
  { input: 'HTTP/1.0 without a Host', bytes: lines('GET /get?key=before HTTP/1.0'), status: [200] },
  {
    input: 'HTTP/1.0 with a foreign Host',
    bytes: lines('GET /set?k=v HTTP/1.0', 'Host: evil.example'),
    status: [421],
  },
  { input: 'HTTP/1.0 with an empty Host', bytes: lines('GET /set?k=v HTTP/1.0', 'Host:'), status: [421] },
  {
    input: 'an unknown expectation of a foreign Host',
    bytes: lines('GET /set?k=v HTTP/1.1', 'Host: evil.example', 'Expect: foo'),
    status: [421],
  },
  {
    input: 'an unknown expectation of another site',
    bytes: lines(SET, HOST, 'Expect: foo', 'Sec-Fetch-Site: cross-site'),
    status: [403],
  },
  {
    input: 'an unknown expectation beside the one that is met',
    bytes: lines(SET, HOST, 'Expect: 100-continue, foo'),
    status: [417],
  },
  {
    input: 'a null Origin without a Host',
    bytes: lines('GET http://localhost/set?k=v HTTP/1.0', 'Origin: null'),
    status: [403],
  },
];

function post(...more: string[]): string {
  return `${lines('POST /set?k=v HTTP/1.1', HOST, ...more)}0\r\n\r\n`;
}

function headers(count: number, value: string): string[] {
  return Array.from({ length: count }, (_, i) => `h${i}: ${value}`);
}
