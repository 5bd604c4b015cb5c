import { expect } from '@jest/globals';
import { ask } from './http.js';

/** ADMIN_TOKEN of the servers under test. */
export const ADMIN = 'the-admin-token-of-tests';

export type Right = 'read' | 'write' | 'monitor' | 'admin';

/** A token as it is described, and its text where it has just been issued. */
export interface Token {
  readonly token: string;
  readonly id: string;
  readonly namespace: string;
  readonly can: readonly Right[];
  readonly created: string;
  readonly expires: string | null;
  readonly lastUsed: string | null;
  readonly parent: string | null;
  readonly limits: object;
  readonly note: string;
}

export function bearer(token: string): { Authorization: string } {
  return { Authorization: `Bearer ${token}` };
}

export function basic(token: string, user = ''): { Authorization: string } {
  return { Authorization: `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}` };
}

/** Makes a token with the token `by`. */
export async function issue(port: number, request: object, by = ADMIN): Promise<Token> {
  const answer = await ask(port, '/tokens', {
    method: 'POST',
    headers: bearer(by),
    body: JSON.stringify(request),
  });
  expect({ status: answer.status, text: answer.status === 201 ? '' : answer.text }).toEqual({
    status: 201,
    text: '',
  });
  return JSON.parse(answer.text) as Token;
}
