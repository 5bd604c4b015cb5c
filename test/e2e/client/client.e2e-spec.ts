import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { httpFetch } from '../../../src/cli/http-fetch.js';
import { Pigeonhole } from '../../../src/client/pigeonhole.js';
import type { Target } from '../../support/target.js';
import { describeOn, ENGINES } from '../../support/ways.js';
import { RULES, STREAM_RULES } from './rules.js';

const WAYS_TO_SEND: Record<string, typeof fetch | undefined> = {
  fetch: undefined,
  'what the command line sends with': httpFetch,
};

describeOn(ENGINES)('with $name', ({ start }) => {
  let target: Target;
  beforeAll(async () => {
    target = await start();
  });
  afterAll(() => target.close());

  for (const [name, send] of Object.entries(WAYS_TO_SEND))
    describe(`the client on ${name}`, () => {
      test.each(Object.entries({ ...RULES, ...STREAM_RULES }))('%s', (_name, rule) => {
        const options = send && { fetch: send };
        return rule(new Pigeonhole(`http://127.0.0.1:${target.port}`, options));
      });
    });
});
