// What it takes to be there: from the command to a port that takes connections, and the memory once at rest.
import { setTimeout as pause } from 'node:timers/promises';
import { alternate } from './contest.mjs';
import { paired } from './rows.mjs';
import { Side } from './sides.mjs';

const REST_MS = 2000;
const MIB = 2 ** 20;
const AGAINST = 'stock Nest + Map';

export async function start(context) {
  const data = {};
  const [ours, theirs] = await alternate(context, ['pigeonhole', AGAINST], async (name) => {
    const side = await Side.start(name, context.root, { data: data[name] });
    data[name] = side.data;
    try {
      const ms = await side.listens();
      const cpu = side.cpu() / 1000;
      await pause(REST_MS);
      return { ms, cpu, memory: side.memory() / MIB };
    } finally {
      await side.stop();
    }
  });
  const row = { against: AGAINST, ours, theirs };
  return [
    paired({ ...row, work: 'start to listening', unit: 'ms', of: ({ ms }) => ms, reach: 1.5, aim: 1.1 }),
    paired({ ...row, work: 'start to listening', unit: 'ms CPU', of: ({ cpu }) => cpu }),
    paired({
      ...row,
      work: 'RssAnon at rest',
      unit: 'MiB',
      of: ({ memory }) => memory,
      reach: 1.3,
      aim: 1.1,
    }),
  ];
}
