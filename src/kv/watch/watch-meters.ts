import { Counter, Gauge, meter } from '../../meters.js';

export const watchers = meter(new Gauge('watchers', 'Watches and long-polls.', 'sum', 0));

export const resets = meter(
  new Counter(
    'watch_resets_total',
    'Watches that began anew, because the log did not reach back to their id.',
  ),
);

export const cut = meter(
  new Counter('watch_cut_total', 'Watches that were ended because their clients did not read.'),
);
