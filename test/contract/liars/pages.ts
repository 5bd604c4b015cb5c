import { paging, type Liar } from './liar.js';

/** Engines whose pages lie. */
export const pageLiars: readonly Liar[] = [
  {
    lie: 'ends a prefix at U+FFFF and misses the astral keys after it',
    caughtBy: 'every kind of key works as a prefix',
    make: paging((query, honest) => {
      const { items, ...page } = honest(query);
      return { ...page, items: items.filter(({ key }) => key <= `${query.prefix}\uffff`) };
    }),
  },
  {
    lie: 'skips the first key of each page but the first',
    caughtBy: 'following next shows every key exactly once',
    make: paging((query, honest) => {
      const page = honest(query);
      const skips = query.after !== undefined && page.items.length > 1;
      return skips ? { ...page, items: page.items.slice(1) } : page;
    }),
  },
  {
    lie: 'shows the last key of a page again on the next',
    caughtBy: 'following next shows every key exactly once',
    make: paging((query, honest) => {
      const page = honest(query);
      const last = page.items.at(-2)?.key;
      return page.next === undefined || last === undefined ? page : { ...page, next: last };
    }),
  },
  {
    lie: 'promises a next page that is empty',
    caughtBy: 'a page has at most limit names',
    make: paging((query, honest) => {
      const page = honest(query);
      return { ...page, next: page.next ?? page.items.at(-1)?.key };
    }),
  },
  {
    lie: 'shows the key at which a range ends',
    caughtBy: 'from is the first key of pages',
    make: paging((query, honest) =>
      honest(query.to === undefined ? query : { ...query, to: `${query.to}\0` }),
    ),
  },
  {
    lie: 'lets after lead out of the range',
    caughtBy: 'after leads no page out of from and to',
    make: paging((query, honest) =>
      honest(query.after === undefined ? query : { ...query, from: undefined }),
    ),
  },
  {
    lie: 'lets after lead out of the prefix',
    caughtBy: 'after never leads out of the prefix',
    make: paging((query, honest) => honest(query.after === undefined ? query : { ...query, prefix: '' })),
  },
];
