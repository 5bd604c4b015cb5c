import { applyDecorators } from '@nestjs/common';
import { ApiResponse, ApiTags } from '@nestjs/swagger';
import { describeOperation, jsonAnswer, TOKEN_ERRORS } from '../http/answer/operation.openapi.js';

const TAG = ApiTags('Health');

const COUNT = { type: 'integer', minimum: 0 };
const BYTES = { type: ['integer', 'null'], minimum: 0 };
const TIME = { type: ['string', 'null'], format: 'date-time' };
const SECONDS = { type: ['number', 'null'], minimum: 0 };

/** A part of the figures, which a token with a namespace does not see. */
function part(title: string, description: string, properties: Record<string, object>): object {
  return {
    title,
    description,
    type: ['object', 'null'],
    required: Object.keys(properties),
    additionalProperties: false,
    properties,
  };
}

const PACE = {
  perSecond: { type: 'number', minimum: 0, description: 'In the last minute.' },
  p50: { ...SECONDS, description: 'What half of them took at most, seconds, in the last minute.' },
  p99: { ...SECONDS, description: 'What 99 of 100 took at most.' },
};

const PARTS = {
  workers: part('StatsWorkers', 'The processes that serve.', {
    configured: { type: 'integer', minimum: 1 },
    silent: {
      ...COUNT,
      description: 'How many did not answer in time: of them the figures are those they gave last.',
    },
  }),
  store: part('StatsStore', 'The store. null is what its engine cannot know.', {
    entries: { ...BYTES, description: 'Entries, with those that have expired and are not removed yet.' },
    bytes: { ...BYTES, description: 'Size of the store.' },
    roomBytes: { ...BYTES, description: 'What can be written before puts are refused.' },
    freeBytes: { ...BYTES, description: 'Free inside the store, which writes use first.' },
    pinnedBytes: { ...BYTES, description: 'What exports and other long reads keep from being free.' },
    scans: { ...COUNT, description: 'Exports and other long reads under way.' },
    corruptRecords: { ...COUNT, description: 'Damaged records and pages that were met since the start.' },
  }),
  log: part('StatsLog', 'The change log.', {
    bytes: BYTES,
    oldest: { ...TIME, description: 'The time of the oldest change in it; null if there is none.' },
  }),
  requests: part('StatsRequests', 'HTTP requests since the start.', {
    total: COUNT,
    inFlight: COUNT,
    ...PACE,
  }),
  writes: part('StatsWrites', 'Changes of entries since the start.', {
    puts: COUNT,
    deletes: COUNT,
    expiries: COUNT,
    conditionsFailed: COUNT,
    queuedBytes: { ...COUNT, description: 'Size of the writes that wait for their commit.' },
    commits: {
      title: 'StatsCommits',
      description: 'Commits, each of one write or of many.',
      type: 'object',
      required: Object.keys(PACE),
      additionalProperties: false,
      properties: PACE,
    },
  }),
  watch: part('StatsWatch', 'Watches and long-polls.', {
    watchers: { ...COUNT, description: 'How many there are.' },
    resets: { ...COUNT, description: 'How many had to begin anew, because the log went not so far back.' },
    cut: { ...COUNT, description: 'How many were ended because they did not read.' },
  }),
  access: part('StatsAccess', 'Who was refused since the start.', {
    failures: { ...COUNT, description: 'Requests with a wrong token.' },
    limited: { ...COUNT, description: 'Requests over a limit, answered 429.' },
  }),
  backup: part('StatsBackup', 'Backups.', {
    last: { ...TIME, description: 'When the last one on a schedule was made.' },
    failures: COUNT,
  }),
  tls: part('StatsTls', 'TLS.', { expires: { ...TIME, description: 'When the certificate ends.' } }),
};

const HEALTH = {
  title: 'StatsHealth',
  description: 'What `/health/ready` says.',
  type: 'object',
  required: ['status', 'info', 'error', 'details'],
  additionalProperties: false,
  properties: {
    status: { type: 'string', enum: ['ok', 'error'] },
    info: { type: 'object' },
    error: { type: 'object' },
    details: { type: 'object' },
  },
};

const CHANGE = {
  key: { type: 'string' },
  kind: { type: 'string', enum: ['put', 'delete', 'expire'] },
  etag: { type: 'string', description: 'Its tag; for a put, that of the new entry.' },
  time: { type: 'string', format: 'date-time' },
  by: {
    type: ['string', 'null'],
    description: 'The id of the token that made it; null if there was none, or you may not know it.',
  },
  type: { type: ['string', 'null'], description: 'For a put: the type of the new entry.' },
  size: { ...BYTES, description: 'For a put: the size of the new value.' },
};

const CHANGES = {
  description:
    'The newest changes, newest first, as far as they are among the last of the log; null for a token that may not read.',
  type: ['array', 'null'],
  maxItems: 20,
  items: {
    title: 'StatsChange',
    type: 'object',
    required: Object.keys(CHANGE),
    additionalProperties: false,
    properties: CHANGE,
  },
};

const HEAD = {
  version: { type: 'string', description: 'The version of the server.' },
  engine: { type: 'string', description: 'The scheme of DATABASE_URL.' },
  started: {
    type: 'string',
    format: 'date-time',
    description: 'When the oldest process that serves was started.',
  },
  now: { type: 'string', format: 'date-time', description: 'The time of the database.' },
  health: HEALTH,
  changes: CHANGES,
};

const STATS = {
  title: 'Stats',
  type: 'object',
  required: [...Object.keys(HEAD), ...Object.keys(PARTS)],
  additionalProperties: false,
  properties: { ...HEAD, ...PARTS },
};

const UP = { server: { status: 'up' }, database: { status: 'up' } };
const IDLE = { perSecond: 0, p50: null, p99: null };
const EXAMPLE = {
  version: '0.1.0',
  engine: 'lmdb',
  started: '2030-01-31T12:00:00.000Z',
  now: '2030-02-01T12:00:00.000Z',
  health: { status: 'ok', info: UP, error: {}, details: UP },
  changes: [
    {
      key: 'user/1',
      kind: 'put',
      etag: '70dbd880-000000000001f',
      time: '2030-02-01T11:59:58.123Z',
      by: null,
      type: 'text/plain; charset=utf-8',
      size: 5,
    },
  ],
  workers: { configured: 1, silent: 0 },
  store: {
    entries: 2,
    bytes: 65536,
    roomBytes: 50_000_000_000,
    freeBytes: 8192,
    pinnedBytes: 0,
    scans: 0,
    corruptRecords: 0,
  },
  log: { bytes: 412, oldest: '2030-01-31T12:00:01.000Z' },
  requests: { total: 12_345, inFlight: 1, perSecond: 3.5, p50: 0.00021, p99: 0.0016 },
  writes: { puts: 17, deletes: 2, expiries: 13, conditionsFailed: 1, queuedBytes: 0, commits: IDLE },
  watch: { watchers: 1, resets: 0, cut: 0 },
  access: { failures: 0, limited: 0 },
  backup: { last: null, failures: 0 },
  tls: { expires: null },
};

export function DescribeMetrics(): MethodDecorator {
  const example =
    '# HELP pigeonhole_entries Entries.\n# TYPE pigeonhole_entries gauge\npigeonhole_entries 2\n';
  return applyDecorators(
    TAG,
    ApiResponse({
      status: 200,
      description: 'All figures, of all processes together.',
      content: { 'text/plain': { schema: { type: 'string' }, example } },
    }),
    describeOperation({
      id: 'getMetrics',
      summary: 'Every figure, for Prometheus',
      description:
        'Where there are tokens, one with the right `monitor` and without a namespace is needed. The number of lines does ' +
        'not depend on what clients send.',
      errors: [...TOKEN_ERRORS],
    }),
  );
}

export function DescribeStats(): MethodDecorator {
  return applyDecorators(
    TAG,
    jsonAnswer(200, 'The figures.', STATS, EXAMPLE),
    describeOperation({
      id: 'getStats',
      summary: 'How the server is doing',
      description:
        'Where there are tokens, one with the right `monitor` is needed. For one with a namespace every part that concerns ' +
        'the whole database is null.',
      errors: [...TOKEN_ERRORS, 'invalid-parameter'],
    }),
  );
}
