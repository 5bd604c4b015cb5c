import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import net, { type AddressInfo, type Socket } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { startBrowser } from '../support/browser.js';
import { eventually, HANG_MS } from '../support/eventually.js';
import { ask, eachAtOnce } from '../support/http.js';
import { pathOf, stored } from '../support/kv.js';
import { longTest } from '../support/long-run.js';
import { disorderOf, stateAfter, type SentEvent } from '../support/events.js';
import { requireProgram } from '../support/requires.js';
import { startServer, type ServerProcess } from '../support/server.js';

const program = requireProgram('chromium');

/** Passes connections on to the server, until it cuts them. */
class Cable {
  private readonly sockets = new Set<Socket>();
  private readonly listener: net.Server;
  /** Cuts each connection behind an answer of so many bytes, so many times. */
  cutAfter = Infinity;
  cuts = 0;

  constructor(target: number) {
    this.listener = net.createServer((near) => {
      const far = net.connect(target, '127.0.0.1');
      let passed = 0;
      for (const socket of [near, far]) {
        this.sockets.add(socket);
        socket.on('error', () => undefined).on('close', () => this.sockets.delete(socket));
      }
      near.pipe(far);
      far.on('data', (data) => {
        near.write(data);
        passed += data.length;
        if (passed < this.cutAfter || this.cuts === 0) return;
        this.cuts--;
        near.destroy();
        far.destroy();
      });
      near.on('close', () => far.destroy());
      far.on('close', () => near.destroy());
    });
  }

  async open(): Promise<number> {
    await new Promise<void>((resolve) => this.listener.listen(0, '127.0.0.1', resolve));
    return (this.listener.address() as AddressInfo).port;
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  close(): void {
    this.listener.close();
    this.cut();
  }
}

program.describe('an EventSource in a browser', () => {
  let browser: Browser;
  let page: Page;
  let server: ServerProcess;
  let cable: Cable;

  beforeAll(async () => {
    browser = await startBrowser(program.path);
  });
  afterAll(() => browser.close());
  beforeEach(async () => {
    server = await startServer();
    cable = new Cable(server.port);
    page = await browser.newPage();
    page.setDefaultTimeout(HANG_MS);
    await page.goto(`http://127.0.0.1:${await cable.open()}/docs`);
    await page.waitForLoadState('networkidle');
  });
  afterEach(async () => {
    await page.close();
    cable.close();
    await server.end();
  });

  async function follow(url: string): Promise<void> {
    await page.evaluate((source) => {
      const told: { id: string; event: string; data: string }[] = [];
      const state = { told, errors: 0 };
      Object.assign(globalThis, { state });
      const events = new EventSource(source);
      events.onerror = () => state.errors++;
      for (const event of ['put', 'delete', 'expire', 'ready', 'heartbeat', 'reset', 'message'])
        events.addEventListener(event, (each) => {
          const { lastEventId, data } = each as unknown as { lastEventId: string; data: string };
          told.push({ id: lastEventId, event, data });
        });
    }, url);
  }

  const state = () =>
    page.evaluate(() => (globalThis as unknown as { state: { told: SentEvent[]; errors: number } }).state);

  /** Waits until an event about `text` has been heard. */
  async function heard(text: string, count = 1): Promise<SentEvent[]> {
    let told: SentEvent[] = [];
    await eventually(async () => {
      ({ told } = await state());
      return told.filter(({ event, data }) => `${event} ${data}`.includes(text)).length >= count;
    }, `an event about ${text}`);
    return told;
  }

  const keys = (count: number) => Array.from({ length: count }, (_, i) => `user/${i}`);

  /** What the store holds below `user/`. */
  async function held(): Promise<[string, string][]> {
    const { text } = await ask(server.port, '/kv?prefix=user%2F&limit=1000');
    const { items } = JSON.parse(text) as { items: { key: string; etag: string }[] };
    return items.map(({ key, etag }) => [key, etag]);
  }

  test('hears put, ready, delete and expire, all of them with data', async () => {
    await stored(server.port, 'user/shown', 'line\nline');
    await follow('/kv?prefix=user/');
    await heard('ready');
    await stored(server.port, 'user/told', 'data: x\n\n😀');
    await ask(server.port, pathOf('user/shown'), { method: 'DELETE' });
    await ask(server.port, `${pathOf('user/short')}?ttl=1s`, { method: 'PUT', body: 'x' });
    const told = (await heard('expire {')).filter(({ event }) => event !== 'heartbeat');
    expect(told.map(({ event }) => event)).toEqual(['put', 'ready', 'put', 'delete', 'put', 'expire']);
    const values = told
      .filter(({ event }) => event === 'put')
      .map(({ data }) => JSON.parse(data).value as string);
    expect(values).toEqual(['line\nline', 'data: x\n\n😀', 'x']);
    expect((await state()).errors).toBe(0);
  });

  longTest('hears a heartbeat when nothing happens', async () => {
    await follow('/kv?prefix=user/');
    await heard('heartbeat');
  });

  longTest('that loses the connection in the snapshot begins anew, and ends up with everything', async () => {
    await eachAtOnce(keys(600), 16, (key) => stored(server.port, key, 'v'.repeat(2000)));
    cable.cutAfter = 200_000;
    cable.cuts = 1;
    await follow('/kv?prefix=user/');
    const told = await heard('ready');
    expect((await state()).errors).toBe(1);
    expect(cable.cuts).toBe(0);
    expect(stateAfter(told)).toEqual(new Map(await held()));
  });

  test('that loses the connection right behind ready misses nothing and hears nothing twice', async () => {
    await stored(server.port, 'user/0', 'x');
    await follow('/kv?prefix=user/');
    await heard('ready');
    cable.cut();
    await eachAtOnce(keys(50), 4, (key) => stored(server.port, key, 'meanwhile'));
    await stored(server.port, 'user/last', 'x');
    const told = await heard('user/last');
    expect(told.filter(({ event }) => event === 'put')).toHaveLength(1 + 50 + 1);
    expect(disorderOf(told)).toEqual([]);
    expect(stateAfter(told)).toEqual(new Map(await held()));
  });

  longTest(
    'that loses the connection again and again while live misses nothing and hears nothing twice',
    async () => {
      await follow('/kv?prefix=user/');
      await heard('ready');
      for (let round = 0; round < 3; round++) {
        const writing = eachAtOnce([...keys(40), ...keys(40)], 4, (key) =>
          stored(server.port, key, `${round}`),
        );
        await new Promise((resolve) => setTimeout(resolve, 10));
        cable.cut();
        await writing;
        await heard('ready', round + 2);
      }
      await stored(server.port, 'user/last', 'x');
      const told = await heard('user/last');
      expect(told.filter(({ event }) => event === 'put')).toHaveLength(3 * 80 + 1);
      expect(told.map(({ event }) => event)).not.toContain('reset');
      expect(disorderOf(told)).toEqual([]);
    },
  );
});
