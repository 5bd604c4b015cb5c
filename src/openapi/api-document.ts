import { readFile } from 'node:fs/promises';
import { AppConfig } from '../config/app-config.js';
import { Injectable, type INestApplication } from '@nestjs/common';

/** Where `npm run build` writes the document. */
export const BUILT_DOCUMENT = new URL('openapi.json', import.meta.url);

/**
 * The OpenAPI document. The package brings it as a file, so that it need not bring the library that makes it. Without
 * the file, as under `nest start`, it is made when it is first asked for.
 */
@Injectable()
export class ApiDocument {
  private app: INestApplication | undefined;
  private bytes: Promise<Buffer> | undefined;

  constructor(private readonly config: AppConfig) {}

  /** Sets the application to describe. */
  describe(app: INestApplication): void {
    this.app = app;
  }

  /** Returns the document as JSON text with a new line, in memory that all answers share. */
  json(): Promise<Buffer> {
    this.bytes ??= readFile(BUILT_DOCUMENT, 'utf8')
      .catch(() => this.make())
      .then((text) => Buffer.from(`${this.withServer(text)}\n`));
    return this.bytes;
  }

  /** Returns the document with the address at which clients reach the server. */
  private withServer(text: string): string {
    const { publicUrl } = this.config;
    if (publicUrl === '') return text;
    return JSON.stringify({ ...(JSON.parse(text) as object), servers: [{ url: publicUrl }] });
  }

  /** Makes the document from the application. */
  async make(): Promise<string> {
    const { makeDocument } = await import('./make-document.js');
    return makeDocument(this.app!);
  }
}
