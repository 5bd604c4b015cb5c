import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { IncomingMessage } from 'node:http';
import { rightFor, type Right } from '../../src/auth/rights.js';
import { SETTINGS } from '../../src/config/settings.js';
import { ERROR_CODES, ERRORS } from '../../src/errors.js';
import { STATUS_OF } from '../../src/http/answer/error-status.js';
import { WITHOUT_DATA } from '../../src/http/gate/request-gate.js';
import { pageAt, rowsOf } from './pages.js';

const urlOf = (path: string) => pathToFileURL(join(process.cwd(), path)).href;

test('the table of errors has every code with its status and meaning, and no other', () => {
  const documented = rowsOf(pageAt('docs/errors.md')).map((row) => row.join(' | '));
  const known = ERROR_CODES.map((code) => `\`${code}\` | ${STATUS_OF[code]} | ${ERRORS[code][1]}`);
  expect(documented.toSorted()).toEqual(known.toSorted());
});

test('the table of settings is what the code declares', () => {
  const documented = rowsOf(pageAt('docs/settings.md')).map((row) => row.join(' | '));
  const declared = Object.values(SETTINGS).map(({ name, default: value, form, meaning }) =>
    [`\`${name}\``, value && `\`${value}\``, form, meaning].join(' | '),
  );
  expect(documented).toEqual(declared);
});

test('the page on growth shows what its script computes', async () => {
  const { costs, table } = (await import(urlOf('docs/growth.mjs'))) as Record<string, () => string>;
  for (const computed of [costs!(), table!()]) expect(pageAt('docs/growth.md').text).toContain(computed);
});

test('the README and the page on performance show what the benchmark measured last', async () => {
  const { shown, marked } = (await import(urlOf('test/bench/pages.mjs'))) as {
    shown: (results: unknown) => Record<string, Record<string, string>>;
    marked: (mark: string, block: string) => string;
  };
  const results: unknown = JSON.parse(readFileSync('test/bench/results.json', 'utf8'));
  for (const [page, blocks] of Object.entries(shown(results))) {
    const text = readFileSync(page, 'utf8');
    for (const [mark, block] of Object.entries(blocks)) expect(text).toContain(marked(mark, block));
  }
});

test('the table of rights is what requests need', () => {
  const NEEDS: Record<string, Right | undefined> = {
    '`read`': 'read',
    '`write`': 'write',
    '`monitor`': 'monitor',
    '`admin`': 'admin',
  };
  const documented = new Set<string>();
  for (const [requests, right] of rowsOf(pageAt('docs/access.md'))) {
    for (const [, method, path] of requests!.matchAll(/`([A-Z]+) (\/[^`]*)`/g)) {
      const url = path!.replace(/\{.*?\}/g, 'x');
      const request = { method, url } as IncomingMessage;
      const isOpen = method === 'OPTIONS' || WITHOUT_DATA.test(url);
      expect({ method, url, isOpen }).toEqual({ method, url, isOpen: right === 'no token' });
      if (!isOpen)
        expect({ method, url, right: rightFor(request) }).toEqual({ method, url, right: NEEDS[right!] });
      documented.add(`${method} ${path}`);
    }
  }
  const { paths } = JSON.parse(readFileSync('dist/openapi/openapi.json', 'utf8')) as {
    paths: Record<string, object>;
  };
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const missing = operations.filter(
    (each) => !/^(?:HEAD|OPTIONS|PUT \/kv$|PATCH \/kv$)/.test(each) && !documented.has(each),
  );
  expect(missing).toEqual([]);
});
