import { brokenOff } from './transport.js';

/**
 * An entry as it was read. Its value comes once: as text, JSON, bytes or stream. If the connection ends within it, that is
 * PigeonholeError `truncated`, of the stream what `fetch` throws.
 */
export class Entry {
  readonly #response: Response;

  constructor(
    readonly key: string,
    response: Response,
  ) {
    this.#response = response;
  }

  /** 200; 206 for a part of the value; 304 if it still is the one that `ifNoneMatch` named, and then without value. */
  get status(): number {
    return this.#response.status;
  }

  /** Without quotes, as conditions take it. */
  get etag(): string {
    return this.#header('ETag').replaceAll('"', '');
  }

  get type(): string {
    return this.#header('Content-Type');
  }

  /** Bytes of what `body` has. */
  get size(): number {
    return +this.#header('Content-Length');
  }

  get modified(): Date {
    return new Date(this.#header('Last-Modified'));
  }

  get expires(): Date | undefined {
    const time = this.#header('KV-Expires');
    return time ? new Date(time) : undefined;
  }

  get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    return this.#response.body as ReadableStream<Uint8Array<ArrayBuffer>> | null;
  }

  text(): Promise<string> {
    return this.#response.text().catch(brokenOff);
  }

  json<T = unknown>(): Promise<T> {
    return this.#response.json().catch(brokenOff) as Promise<T>;
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await this.#response.arrayBuffer().catch(brokenOff));
  }

  #header(name: string): string {
    return this.#response.headers.get(name) ?? '';
  }
}
