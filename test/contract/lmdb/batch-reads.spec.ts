import { expect, test } from '@jest/globals';
import type { DatabaseError } from '../../../src/errors.js';
import { FakeTime } from '../../support/fake-time.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { lmdb } from '../engines.js';
import { put } from '../shorthand.js';

const VALUE_BYTES = 16 * 2 ** 20;

test('of batches that read more together than memory is for, some are asked to come again', async () => {
  const engine = lmdb.make(new FakeTime().clock(), temporaryFolder());
  await engine.open();
  await put(engine, 'large', Buffer.alloc(VALUE_BYTES));
  const read = () => engine.batch([{ op: 'get', key: 'large' }], true, VALUE_BYTES);
  const together = await Promise.allSettled(Array.from({ length: 8 }, read));
  const codes = together.map((each) =>
    each.status === 'rejected' ? (each.reason as DatabaseError).code : 'read',
  );
  expect(new Set(codes)).toEqual(new Set(['read', 'busy']));
  expect(await read()).toHaveLength(1);
  await engine.close();
});
