import { MAX_DURATION, parseDuration } from '../config/duration.js';
import { DatabaseError } from '../errors.js';
import { oneOf } from '../http/request/parameters.js';
import { RIGHTS, type Right } from './rights.js';
import type { TokenLimits } from './token-record.js';

/** A token as somebody asks for it. */
export interface TokenRequest {
  /** Below the namespace of who asks. */
  readonly namespace: string;
  readonly can: readonly Right[];
  /** How long it lives, milliseconds; undefined for ever. */
  readonly ttl: number | undefined;
  readonly note: string;
  readonly requireConditions: boolean;
  readonly limits: TokenLimits;
}

const MEMBERS = ['namespace', 'can', 'ttl', 'note', 'requireConditions', 'limits'];
const LIMITS = ['requests', 'writes', 'watchers'] as const;
const MAX_LIMIT = 1_000_000_000;
const MAX_NOTE_LENGTH = 256;
const CONTROLS = /\p{Cc}/u;

/** Checks the body of `POST /tokens`. @throws DatabaseError `invalid-parameter` */
export function readTokenRequest(body: unknown): TokenRequest {
  const {
    can,
    namespace = '',
    ttl,
    note = '',
    requireConditions = false,
    limits = {},
  } = membersOf(body, MEMBERS, 'The request');
  if (typeof namespace !== 'string') throw invalid('`namespace` must be a string.');
  if (typeof note !== 'string' || note.length > MAX_NOTE_LENGTH || CONTROLS.test(note))
    throw invalid(`\`note\` must be one line of at most ${MAX_NOTE_LENGTH} characters.`);
  if (typeof requireConditions !== 'boolean') throw invalid('`requireConditions` must be true or false.');
  return {
    namespace,
    can: readRights(can),
    ttl: readDuration('ttl', ttl),
    note,
    requireConditions,
    limits: readLimits(limits),
  };
}

/** Checks the body of a rotation. Returns how long the old secret goes on, milliseconds. @throws DatabaseError `invalid-parameter` */
export function readGrace(body: unknown): number {
  const { grace } = membersOf(body, ['grace'], 'The request');
  return grace === '0' || grace === 0 ? 0 : (readDuration('grace', grace) ?? 0);
}

function membersOf(body: unknown, known: readonly string[], what: string): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw invalid(`${what} must be a JSON object.`);
  const unknown = Object.keys(body).find((name) => !known.includes(name));
  if (unknown === undefined) return body as Record<string, unknown>;
  throw invalid(
    `${what} has no member ${JSON.stringify(unknown.slice(0, 64))}, only ${oneOf(known, 'and')}.`,
  );
}

function readRights(can: unknown): readonly Right[] {
  const isList = Array.isArray(can) && can.length > 0 && new Set(can).size === can.length;
  if (isList && can.every((right) => RIGHTS.includes(right as Right)))
    return RIGHTS.filter((right) => can.includes(right));
  throw invalid(`\`can\` must be a list of rights, each once: ${oneOf(RIGHTS, 'or')}.`);
}

function readDuration(name: string, value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  const duration =
    typeof value === 'string' || typeof value === 'number' ? parseDuration(String(value)) : undefined;
  if (duration !== undefined) return duration;
  const years = Math.floor(MAX_DURATION / 31_557_600_000);
  throw invalid(`\`${name}\` must be a duration such as 90s, 15m, 2h or 30d, of at most ${years} years.`);
}

function readLimits(value: unknown): TokenLimits {
  const limits = membersOf(value, LIMITS, '`limits`');
  for (const [name, limit] of Object.entries(limits)) {
    if (!Number.isSafeInteger(limit) || (limit as number) < 0 || (limit as number) > MAX_LIMIT)
      throw invalid(`\`limits.${name}\` must be a whole number from 0 to ${MAX_LIMIT}.`);
  }
  return limits;
}

function invalid(detail: string): DatabaseError {
  return new DatabaseError('invalid-parameter', detail);
}
