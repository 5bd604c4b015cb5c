import { Module } from '@nestjs/common';
import { ApiDocument } from './api-document.js';
import { OpenApiController } from './openapi.controller.js';

/** The API's own description: the OpenAPI document and an explorer for it. */
@Module({ providers: [ApiDocument], controllers: [OpenApiController] })
export class OpenApiModule {}
