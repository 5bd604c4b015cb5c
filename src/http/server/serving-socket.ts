import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A connection, and the answer that it is sending, which Node's own handler of client errors uses too. */
export type ServingSocket = Socket & { readonly _httpMessage?: ServerResponse | null };
