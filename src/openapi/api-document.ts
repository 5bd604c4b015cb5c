import { readFile } from 'node:fs/promises';
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
  private text: Promise<string> | undefined;

  /** Sets the application to describe. */
  describe(app: INestApplication): void {
    this.app = app;
  }

  /** Returns the document as JSON text. */
  json(): Promise<string> {
    this.text ??= readFile(BUILT_DOCUMENT, 'utf8').catch(() => this.make());
    return this.text;
  }

  /** Makes the document from the application. */
  async make(): Promise<string> {
    const { makeDocument } = await import('./make-document.js');
    return makeDocument(this.app!);
  }
}
