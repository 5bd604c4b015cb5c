// The load: wrk, with requests that a Lua expression makes.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOAD_CORE, run } from './processes.mjs';

const CONNECTIONS = 64;

/** Lua that makes each request anew. */
export const fresh = (expression) => `request = function() return ${expression} end`;

/** Lua that makes `count` requests beforehand, of the numbers 0, 1, … as `i`, and takes them at random. */
export const prepared = (expression, count) => `
local requests = {}
init = function() for i = 0, ${count - 1} do requests[i] = ${expression} end end
request = function() return requests[math.random(0, ${count - 1})] end`;

/**
 * Loads a side for `seconds` and resolves to what a request took of its processors and of that in the system, in µs, to
 * the bytes that it wrote to files, to requests a second and to the 99th percentile of latency in ms. The same `seed` makes the same
 * requests. `each` is how many things a request does.
 */
export async function load(
  side,
  lua,
  { root, seconds, seed, connections = CONNECTIONS, cores = LOAD_CORE, each = 1 },
) {
  const script = join(root, 'load.lua');
  writeFileSync(script, `math.randomseed(${seed})\n${lua}\n`);
  const [before, systemBefore, writtenBefore] = [side.cpu(), side.system(), side.written()];
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '--latency', '-s', script];
  const out = await run('wrk', [...args, `${side.url}/`], { cores });
  const used = side.cpu() - before;
  const system = side.system() - systemBefore;
  const written = side.written() - writtenBefore;
  const wrong = /Non-2xx.*|Socket errors: .*/.exec(out);
  if (wrong) throw new Error(`${side.name}: ${wrong[0]}`);
  const things = Number(/(\d+) requests in/.exec(out)[1]) * each;
  return {
    cpu: used / things,
    system: system / things,
    written: written / things,
    rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(out)[1]) * each,
    p99: milliseconds(/99%\s+(\S+)/.exec(out)[1]),
    things,
  };
}

function milliseconds(text) {
  const [, number, unit] = /^([\d.]+)(us|ms|s|m)$/.exec(text) ?? [];
  // Nothing was answered in so short a time.
  if (!unit) return NaN;
  return Number(number) * { us: 0.001, ms: 1, s: 1000, m: 60_000 }[unit];
}
