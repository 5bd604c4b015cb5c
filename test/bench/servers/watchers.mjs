// Holds watchers, in a process of its own so that their work is not the server's, and counts what they are told.
import http from 'node:http';

const AT_ONCE = 50;
let requests = [];
let delays = [];

function watch(port, path) {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, headers: { Accept: 'text/event-stream' }, agent: false };
    const request = http.get(options, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`answered ${response.statusCode}`));
      let rest = '';
      response.setEncoding('latin1').on('data', (text) => {
        const now = Date.now();
        const blocks = (rest + text).split('\n\n');
        rest = blocks.pop();
        for (const block of blocks) {
          if (block.includes('event: ready')) resolve();
          const sent = /"value":"at=([0-9]+)"/.exec(block);
          if (sent) delays.push(now - Number(sent[1]));
        }
      });
      response.on('error', () => undefined);
    });
    request.on('error', reject);
    requests.push(request);
  });
}

process.on('disconnect', () => process.exit());
process.on('message', async ({ port, path, count = 0, drop = false }) => {
  for (let open = 0; open < count; open += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - open) }, () => watch(port, path)));
  if (drop) {
    for (const request of requests) request.on('error', () => undefined).destroy();
    requests = [];
  }
  delays.sort((a, b) => a - b);
  const at = (share) => delays[Math.min(delays.length - 1, Math.floor(delays.length * share))];
  process.send({ events: delays.length, p50: at(0.5), p99: at(0.99), max: at(1) });
  delays = [];
});
