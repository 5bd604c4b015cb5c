import { expect } from '@jest/globals';
import type { OutgoingHttpHeaders } from 'node:http';
import { ask, type Answer } from './http.js';

export const JSON_TYPE = { 'Content-Type': 'application/json' };
export const MERGE_PATCH = { 'Content-Type': 'application/merge-patch+json' };
export const NDJSON = { 'Content-Type': 'application/x-ndjson' };

/** How an entry is described. */
export interface Description {
  readonly key: string;
  readonly etag: string;
  readonly type: string;
  readonly size: number;
  readonly created: string;
  readonly modified: string;
  readonly expires: string | null;
}

export interface Item extends Description {
  readonly value?: string;
  readonly base64?: string;
}

export interface Page {
  readonly items: Item[];
  readonly prefixes: string[];
  readonly next: string | null;
}

export interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly [member: string]: unknown;
}

export function pathOf(key: string): string {
  return `/kv/${encodeURIComponent(key)}`;
}

/** The other spelling of the same entry, which takes `.` and `..` too. */
export function twinOf(key: string): string {
  return `/kv?key=${encodeURIComponent(key)}`;
}

let made = 0;

/** A key that no other test of the file uses. */
export function freshKey(): string {
  return `fresh/${made++}`;
}

export function put(
  port: number,
  key: string,
  body: string | Buffer,
  headers: OutgoingHttpHeaders = {},
): Promise<Answer> {
  return ask(port, twinOf(key), { method: 'PUT', body, headers });
}

/** Stores a value and answers its tag with quotes. */
export async function stored(
  port: number,
  key: string,
  body: string | Buffer,
  headers: OutgoingHttpHeaders = {},
): Promise<string> {
  const answer = await put(port, key, body, headers);
  expect([200, 201]).toContain(answer.status);
  return answer.headers.etag!;
}

/** The value of a key, or undefined if it is not there. */
export async function valueOf(port: number, key: string): Promise<string | undefined> {
  const answer = await ask(port, twinOf(key));
  return answer.status === 200 ? answer.text : undefined;
}

export async function pageOf(port: number, query: string): Promise<Page> {
  const answer = await ask(port, `/kv${query}`);
  expect(answer.status).toBe(200);
  return JSON.parse(answer.text) as Page;
}

export async function batch(port: number, ops: readonly object[], atomic?: boolean): Promise<Answer> {
  return ask(port, '/batch', { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ atomic, ops }) });
}

/** The problem document that an answer has to be. */
export function expectProblem(answer: Answer, status: number, code: string): Problem {
  const problem = JSON.parse(answer.text) as Problem;
  expect({ status: answer.status, code: problem.code }).toEqual({ status, code });
  expect(problem).toMatchObject({
    type: `/problems/${code}`,
    title: expect.stringMatching(/./),
    status,
    detail: expect.stringMatching(/./),
  });
  expect(answer.headers['content-type']).toBe('application/problem+json');
  expect(answer.headers['cache-control']).toBe('no-store');
  return problem;
}
