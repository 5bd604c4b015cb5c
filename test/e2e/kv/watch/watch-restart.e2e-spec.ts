import { expect, test } from '@jest/globals';
import { EventStream } from '../../../support/events.js';
import { ask } from '../../../support/http.js';
import { stored } from '../../../support/kv.js';
import { describeWhere } from '../../../support/requires.js';
import { startServer } from '../../../support/server.js';
import { canSetServerTime, ServerTime, WHY_NOT } from '../../../support/server-time.js';

const START = Date.parse('2027-01-15T08:00:00.100Z');

describeWhere(canSetServerTime, WHY_NOT)('a database in memory that starts again within the second', () => {
  test('repeats no tag, and knows no id of the one before it', async () => {
    const time = new ServerTime();
    const settings = { DATABASE_URL: 'memory:', ...time.env };
    time.set(START);
    const before = await startServer(settings);
    const tag = await stored(before.port, 'a', '1');
    const { headers } = await ask(before.port, '/kv?prefix=');
    await before.end();

    time.set(START + 300);
    const server = await startServer(settings);
    expect(await stored(server.port, 'b', '2')).not.toBe(tag);
    const stream = await EventStream.live(server.port, `/kv?prefix=&since=${String(headers['kv-revision'])}`);
    expect(stream.names).toEqual(['reset', 'put', 'ready']);
    stream.close();
    await server.end();
  });
});
