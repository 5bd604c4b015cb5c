import { expect, test } from '@jest/globals';
import { ManyMembers } from '../../../src/http/request/many-members.js';
import { Random } from '../../support/random.js';

test('many members are what a map of them is, in the same order', () => {
  const random = new Random(1);
  const [members, map] = [new ManyMembers<number>(), new Map<string, number>()];
  for (let i = 0; i < 60_000; i++) {
    const name = `n${random.below(30_000)}`;
    if (random.chance(0.2)) {
      expect(members.delete(name)).toBe(map.delete(name));
    } else {
      members.set(name, i);
      map.set(name, i);
    }
  }
  expect(members.size).toBe(map.size);
  expect([...members]).toEqual([...map]);
  expect([...members.keys()]).toEqual([...map.keys()]);
  for (let i = 0; i < 30_000; i += 7)
    expect([members.has(`n${i}`), members.get(`n${i}`)]).toEqual([map.has(`n${i}`), map.get(`n${i}`)]);
});
