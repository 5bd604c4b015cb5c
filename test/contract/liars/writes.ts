import { DatabaseError } from '../../../src/errors.js';
import { changed, entriesOf, writing, type Liar } from './liar.js';

/** Engines whose writes lie. */
export const writeLiars: readonly Liar[] = [
  {
    lie: 'loses an acknowledged write',
    caughtBy: 'concurrent writes of many keys are all applied',
    make: writing(async (operation, honest, self) => {
      const outcome = await honest(operation);
      if (operation.key === 'k77') entriesOf(self).delete('k77');
      return outcome;
    }),
  },
  {
    lie: 'returns updated for a new key',
    caughtBy: 'put returns created for a new key',
    make: writing(async (operation, honest) => {
      const outcome = await honest(operation);
      return outcome.kind === 'created' ? { ...outcome, kind: 'updated' } : outcome;
    }),
  },
  {
    lie: 'returns deleted for an absent key',
    caughtBy: 'deleting an absent key succeeds, returns absent',
    make: writing(async (operation, honest) => {
      const outcome = await honest(operation);
      return operation.op === 'delete' ? { kind: 'deleted' } : outcome;
    }),
  },
  {
    lie: 'gives an unchanged value its old tag',
    caughtBy: 'every change of value, type or expiry takes a tag',
    make: writing(async (operation, honest, self) => {
      const before = self.get(operation.key);
      const outcome = await honest(operation);
      const same = 'entry' in outcome && before?.value.equals(outcome.entry.value);
      return same ? changed(outcome, { etag: before!.etag }) : outcome;
    }),
  },
  {
    lie: 'has tags that do not sort by age',
    caughtBy: 'tags sort by age as strings',
    make: writing(async (operation, honest) => {
      const outcome = await honest(operation);
      return 'entry' in outcome
        ? changed(outcome, { etag: outcome.entry.etag.split('').reverse().join('') })
        : outcome;
    }),
  },
  {
    lie: 'ignores conditions',
    caughtBy: 'If-None-Match * fails for the entry',
    make: writing((operation, honest) =>
      operation.op === 'check' ? honest(operation) : honest({ ...operation, condition: undefined }),
    ),
  },
  {
    lie: 'decides conditions before the write instead of in it',
    caughtBy: 'of concurrent compare-and-swaps exactly one succeeds',
    make: writing(async (operation, honest, self) => {
      if (!operation.condition || operation.op !== 'put') return honest(operation);
      await self.write({ op: 'check', key: operation.key, condition: operation.condition });
      await new Promise(setImmediate);
      return honest({ ...operation, condition: undefined });
    }),
  },
  {
    lie: 'does not name the current tag when a condition fails',
    caughtBy: 'If-Match with another tag fails',
    make: writing(async (operation, honest) => {
      try {
        return await honest(operation);
      } catch (error) {
        throw error instanceof DatabaseError ? new DatabaseError(error.code, error.detail) : error;
      }
    }),
  },
  {
    lie: 'cuts a value at a zero byte',
    caughtBy: 'a value comes back byte for byte: all 256 bytes',
    make: writing((operation, honest) => {
      if (operation.op !== 'put') return honest(operation);
      const end = operation.value.indexOf(0);
      return honest(end < 0 ? operation : { ...operation, value: operation.value.subarray(0, end) });
    }),
  },
  {
    lie: 'keeps values as text',
    caughtBy: 'a value comes back byte for byte: bytes that are no UTF-8',
    make: writing((operation, honest) =>
      honest(
        operation.op === 'put' ? { ...operation, value: Buffer.from(operation.value.toString()) } : operation,
      ),
    ),
  },
  {
    lie: 'cuts a value at 8 MiB',
    caughtBy: 'a value comes back byte for byte: 16 MiB',
    make: writing((operation, honest) =>
      honest(
        operation.op === 'put' ? { ...operation, value: operation.value.subarray(0, 2 ** 23) } : operation,
      ),
    ),
  },
  {
    lie: 'cuts long types',
    caughtBy: 'types come back as they were put',
    make: writing((operation, honest) =>
      honest(operation.op === 'put' ? { ...operation, type: operation.type.slice(0, 255) } : operation),
    ),
  },
  {
    lie: 'normalises keys',
    caughtBy: 'every kind of key holds its own value',
    make: writing((operation, honest) => honest({ ...operation, key: operation.key.normalize('NFC') })),
  },
  {
    lie: 'keeps the buffer of its caller',
    caughtBy: 'a buffer that its owner changes',
    make: writing(async (operation, honest, self) => {
      const outcome = await honest(operation);
      if (operation.op === 'put' && 'entry' in outcome)
        entriesOf(self).set(operation.key, { ...outcome.entry, value: operation.value });
      return outcome;
    }),
  },
  {
    lie: 'counts through doubles',
    caughtBy: 'incr is exact over the whole range',
    make: writing(async (operation, honest, self) => {
      if (operation.op !== 'incr') return honest(operation);
      const sum = Number(self.get(operation.key)?.value.toString() ?? 0) + Number(operation.amount);
      const { key, expiry } = operation;
      return honest({ op: 'put', key, value: Buffer.from(`${sum}`), type: 'text/plain', expiry });
    }),
  },
  {
    lie: 'loses one of two concurrent increments',
    caughtBy: 'concurrent incr operations all count',
    make: writing(async (operation, honest, self) => {
      if (operation.op !== 'incr') return honest(operation);
      const before = BigInt(self.get(operation.key)?.value.toString() ?? 0);
      await new Promise(setImmediate);
      const value = Buffer.from(`${before + operation.amount}`);
      return honest({ op: 'put', key: operation.key, value, type: 'text/plain', expiry: 'never' });
    }),
  },
  {
    lie: 'forgets the type on touch',
    caughtBy: 'touch changes the expiry',
    make: writing(async (operation, honest, self) => {
      const outcome = await honest(operation);
      if (operation.op !== 'touch' || !('entry' in outcome)) return outcome;
      entriesOf(self).set(operation.key, { ...outcome.entry, type: 'text/plain' });
      return changed(outcome, { type: 'text/plain' });
    }),
  },
];
