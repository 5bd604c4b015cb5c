import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiResponse } from '@nestjs/swagger';

/** What a route does, in a few words and in more, and what its errors mean there, by status. */
export function about(summary: string, description: string, errors: Record<number, string>): MethodDecorator {
  return applyDecorators(
    ApiOperation({ summary, ...(description && { description }) }),
    ...Object.entries(errors).map(([status, meaning]) =>
      ApiResponse({ status: Number(status), description: meaning }),
    ),
  );
}
