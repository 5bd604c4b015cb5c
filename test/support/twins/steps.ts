import type { Random } from '../random.js';
import { Calls } from './calls.js';
import type { Call, Step } from './step.js';

const EVENTS = { Accept: 'text/event-stream' };
/** Longer than any write that sets a request free takes to come. */
const WAIT = { Prefer: 'wait=20' };

/** Random steps: mostly requests, now and then a watch or a request that is held. */
export class Steps {
  private readonly calls: Calls;
  private made = 0;

  constructor(
    private readonly random: Random,
    private readonly acrossKeys = true,
  ) {
    this.calls = new Calls(random, acrossKeys);
  }

  next(): Step {
    const roll = this.random.below(1000);
    if (roll < 25) return this.snapshot();
    if (roll < 45) return this.resume();
    if (roll < 60) return this.live();
    if (roll < 64) return this.expiry();
    if (roll < 74) return this.poll();
    return { kind: 'call', call: this.calls.next() };
  }

  /** What a watch follows, with pairs of its query. */
  private watched(pairs: readonly string[] = []): string {
    const { random, calls } = this;
    const { words } = calls;
    if (random.chance(0.25)) return `/${pairs.length > 0 ? `?${pairs.join('&')}` : ''}`;
    if (random.chance(0.3)) return calls.entry(pairs);
    const target = () => `${random.pick(['prefix', 'prefix', 'key'])}=${words.escaped(words.key())}`;
    const targets = Array.from({ length: random.below(4) }, target);
    const all = [...targets, ...pairs, ...words.some(['limit=1'], 0.02)];
    return `/kv${all.length > 0 ? `?${all.join('&')}` : ''}`;
  }

  /** A watch from its beginning. */
  private snapshot(): Step {
    const isAsked = this.random.chance(0.5);
    const call = {
      method: 'GET',
      target: this.watched(isAsked ? ['watch=true'] : []),
      headers: isAsked ? {} : EVENTS,
    };
    return { kind: 'watch', call, writes: [], last: '' };
  }

  /** A watch that goes on where an answer or another watch has ended. */
  private resume(): Step {
    const { random, calls } = this;
    const position = random.pick([calls.words.position(), calls.words.position(), 'garbage', '']);
    const call = random.chance(0.5)
      ? { method: 'GET', target: this.watched([`since=${position}`]), headers: EVENTS }
      : { method: 'GET', target: this.watched(), headers: { ...EVENTS, 'Last-Event-ID': position } };
    return { kind: 'watch', call, writes: [], last: '' };
  }

  /** A watch of what is written meanwhile, up to a write that it shows for certain. */
  private live(): Step {
    const { random, calls } = this;
    const key = calls.words.key().slice(0, 100);
    const last = `last-${this.made++}`;
    const whole = encodeURIComponent(key);
    const ofKey = `/kv?key=${whole}&prefix=zz&since=now`;
    const target = this.acrossKeys
      ? random.pick([ofKey, '/?since=now', `/kv?prefix=${whole}&since=now`])
      : ofKey;
    const write = () =>
      random.pick([() => calls.put(key), () => calls.put(), () => calls.remove(key), () => calls.batch()])();
    const writes: Call[] = Array.from({ length: random.below(5) }, write);
    writes.push({ method: 'PUT', target: `/kv?key=${whole}`, body: last });
    return { kind: 'watch', call: { method: 'GET', target, headers: EVENTS }, writes, last };
  }

  /** An entry that ends while it is watched. */
  private expiry(): Step {
    const key = encodeURIComponent(this.calls.words.key().slice(0, 100));
    const target = `/kv?key=${key}&since=now`;
    const write = { method: 'PUT', target: `/kv?key=${key}&ttl=1ms`, body: 'x' };
    return {
      kind: 'watch',
      call: { method: 'GET', target, headers: EVENTS },
      writes: [write],
      last: 'event: expire\n',
    };
  }

  /** A request that is held until the entry that it asks for, or one on the page, is there. */
  private poll(): Step {
    const { random } = this;
    // A key that nothing else writes, so that it is not there.
    const key = `poll/${this.made++}/${this.calls.words.key().slice(0, 100)}`;
    const call = { method: 'GET', target: this.calls.entry([], key), headers: WAIT };
    const body = random.pick(['x', '']);
    return {
      kind: 'poll',
      call,
      write: { method: 'PUT', target: `/kv?key=${encodeURIComponent(key)}`, body },
    };
  }
}
