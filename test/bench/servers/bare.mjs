// The limit on Node: a hand-written server over a Map, sending the headers that Pigeonhole sends.
import http from 'node:http';

const store = new Map();
const HEADERS = [
  'X-Content-Type-Options',
  'nosniff',
  'Cross-Origin-Resource-Policy',
  'same-origin',
  'Referrer-Policy',
  'no-referrer',
  'Content-Security-Policy',
  "default-src 'none'; frame-ancestors 'none'",
  'Cache-Control',
  'no-cache',
  'Content-Type',
  'application/json',
];

const server = http.createServer((request, response) => {
  const { url } = request;
  let status = 200;
  let body;
  if (url.startsWith('/get?key=')) {
    const key = decodeURIComponent(url.slice(9));
    body = `{${JSON.stringify(key)}:${JSON.stringify(store.get(key))}}`;
  } else {
    const [key, value] = url.slice(5).split('=');
    status = store.has(key) ? 200 : 201;
    store.set(key, value);
    body = `{${JSON.stringify(key)}:${JSON.stringify(value)}}`;
  }
  response.writeHead(status, [...HEADERS, 'Content-Length', String(Buffer.byteLength(body))]);
  response.end(body);
});
server.listen(Number(process.env.PORT), '127.0.0.1');
