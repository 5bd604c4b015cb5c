import { expect } from '@jest/globals';
import { countOf, keysScanned, namesOf, put, textOf } from '../shorthand.js';
import type { Rule } from '../rule.js';

/** Private records of the server. */
export const systemRules: readonly Rule[] = [
  {
    rule: 'a private record is kept byte for byte, replaced and deleted by its name',
    async run({ engine: { system } }) {
      const value = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
      await system.put('token/1', value);
      expect((await system.get('token/1'))?.equals(value)).toBe(true);
      await system.put('token/1', Buffer.alloc(0));
      expect((await system.get('token/1'))?.length).toBe(0);
      await system.delete('token/1');
      expect(await system.get('token/1')).toBeUndefined();
      await system.delete('token/1');
    },
  },
  {
    rule: 'a private record is replaced only if it is what it is believed to be',
    async run({ engine: { system } }) {
      const [first, second] = [Buffer.from([0, 1, 255]), Buffer.from('second')];
      expect(await system.replace('token/1', first, second)).toBe(false);
      expect(await system.get('token/1')).toBeUndefined();
      expect(await system.replace('token/1', undefined, first)).toBe(true);
      expect(await system.replace('token/1', undefined, second)).toBe(false);
      expect(await system.replace('token/1', second, first)).toBe(false);
      expect((await system.get('token/1'))?.equals(first)).toBe(true);
      const raced = [second, Buffer.from('third')].map((value) => system.replace('token/1', first, value));
      expect((await Promise.all(raced)).filter(Boolean)).toHaveLength(1);
      expect(await system.replace('token/1', first, undefined)).toBe(false);
      expect(await system.replace('token/1', second, undefined)).toBe(true);
      expect(await system.get('token/1')).toBeUndefined();
    },
  },
  {
    rule: 'private records are listed below a prefix in byte order, with their values',
    async run({ engine: { system } }) {
      for (const name of ['t/b', 't/a', 't', 't0', 's/z', 't/B', 'n'.repeat(256)])
        await system.put(name, Buffer.from(`<${name}>`));
      const listed = async (prefix: string) => (await system.list(prefix)).map(({ name }) => name);
      expect(await listed('t/')).toEqual(['t/B', 't/a', 't/b']);
      expect(await listed('')).toEqual(['n'.repeat(256), 's/z', 't', 't/B', 't/a', 't/b', 't0']);
      expect(await listed('u')).toEqual([]);
      for (const { name, value } of await system.list('')) expect(value.toString()).toBe(`<${name}>`);
    },
  },
  {
    rule: 'no read of user keys shows a private record, and no private listing shows a user key',
    async run({ engine }) {
      for (const name of ['a', 'b', 'head', 'format']) await engine.system.put(name, Buffer.from('secret'));
      await put(engine, 'a', 'user');
      expect(await textOf(engine, 'a')).toBe('user');
      expect(await engine.get('b')).toBeUndefined();
      expect(await namesOf(engine)).toEqual(['a']);
      expect(await namesOf(engine, { reverse: true })).toEqual(['a']);
      expect(await namesOf(engine, { delimiter: 'a' })).toEqual(['a']);
      expect(await keysScanned(engine)).toEqual(['a']);
      expect(await countOf(engine, { prefix: '' })).toBe(1);
      expect((await engine.stats()).entries).toBe(1);
      expect((await engine.write({ op: 'get', key: 'b' })).kind).toBe('absent');
      expect((await engine.system.list('')).map(({ name }) => name)).toEqual(['a', 'b', 'format', 'head']);
      await engine.write({ op: 'delete', key: 'a' });
      expect((await engine.system.get('a'))?.toString()).toBe('secret');
    },
  },
  {
    rule: 'private records survive a restart',
    needs: 'durable',
    async run(fixture) {
      await fixture.engine.system.put('kept', Buffer.from('secret'));
      await fixture.engine.system.put('gone', Buffer.from('secret'));
      await fixture.engine.system.delete('gone');
      await fixture.reopen();
      expect((await fixture.engine.system.list('')).map(({ name }) => name)).toEqual(['kept']);
      expect((await fixture.engine.system.get('kept'))?.toString()).toBe('secret');
    },
  },
  {
    rule: 'an engine that works is ready, and its notes are sentences',
    async run({ engine }) {
      const { ready, notes } = await engine.state();
      expect(ready).toBe(true);
      for (const note of notes) expect(note).toMatch(/^\S.*\.$/);
    },
  },
];
