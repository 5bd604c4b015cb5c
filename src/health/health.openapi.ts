import { applyDecorators } from '@nestjs/common';
import { ApiResponse, ApiTags } from '@nestjs/swagger';
import { describeOperation, jsonAnswer } from '../http/answer/operation.openapi.js';

const TAG = ApiTags('Health');

const PART = {
  title: 'PartHealth',
  type: 'object',
  required: ['status'],
  additionalProperties: false,
  properties: {
    status: { type: 'string', enum: ['up', 'down'] },
    notes: {
      type: 'array',
      items: { type: 'string' },
      description: 'What is wrong, or makes this deployment promise less than it could, a sentence each.',
    },
  },
};
const PARTS = { type: 'object', additionalProperties: PART };

const ALIVE = {
  title: 'Alive',
  type: 'object',
  required: ['status'],
  additionalProperties: false,
  properties: { status: { type: 'string', enum: ['ok'] } },
};

const REPORT = {
  title: 'HealthReport',
  description: 'With the right `monitor` the parts that are up and down, and why. Without, the status only.',
  type: 'object',
  required: ['status'],
  additionalProperties: false,
  properties: {
    status: { type: 'string', enum: ['ok', 'error'] },
    info: { ...PARTS, description: 'The parts that are up.' },
    error: { ...PARTS, description: 'The parts that are down.' },
    details: { ...PARTS, description: 'All parts.' },
  },
};

const UP = { server: { status: 'up' }, database: { status: 'up' } };
const FULL = { status: 'down', notes: ['The disk is full: puts are refused until there is space.'] };
const READY = { status: 'ok', info: UP, error: {}, details: UP };
const NOT_READY = {
  status: 'error',
  info: { server: UP.server },
  error: { database: FULL },
  details: { server: UP.server, database: FULL },
};

export function DescribeLive(): MethodDecorator {
  return applyDecorators(
    TAG,
    jsonAnswer(200, 'It is.', ALIVE, { status: 'ok' }),
    describeOperation({
      id: 'getLiveness',
      summary: 'Whether the process is alive',
      description: 'Needs no token and touches no storage. The Host of the request may be any.',
      errors: [],
    }),
  );
}

export function DescribeReady(): MethodDecorator {
  const examples = { 'not ready': { summary: 'The disk is full', value: NOT_READY } };
  return applyDecorators(
    TAG,
    jsonAnswer(200, 'They can.', REPORT, READY),
    ApiResponse({
      status: 503,
      description: 'They cannot, or the server is about to stop.',
      headers: {
        'Retry-After': { description: 'Seconds to wait.', required: true, schema: { type: 'string' } },
      },
      content: { 'application/json': { schema: REPORT, examples } },
    }),
    describeOperation({
      id: 'getReadiness',
      summary: 'Whether requests can be expected to succeed',
      description:
        'Needs no token; one with the right `monitor` is told why. The Host of the request may be any.',
      errors: [],
    }),
  );
}
