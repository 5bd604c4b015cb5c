import { createHash } from 'node:crypto';

/*
 * What happens inside Redis, in its Lua. A script runs alone, and Redis logs and replicates its effects as one, so that each
 * is one atomic step. All of them get the names of one partition as KEYS 1 to 5 (layout.ts) and reach entries by them.
 *
 * Traps. Lua's numbers are doubles: counters are added by HINCRBY, which is exact and refuses overflow. A server whose
 * memory is full refuses a script's commands until its first write has been let through, so the first write of a put must be
 * one that it may refuse, and that of a removal one that it never does. Nothing is rolled back, so that all is decided
 * before anything is written.
 */
export interface Script {
  readonly source: string;
  /** What EVALSHA calls it by. */
  readonly sha: string;
}

function script(...parts: string[]): Script {
  const source = parts.join('\n');
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

/** ARGV 1: now, the caller's time in ms. A header is `<etag> <created> <modified> <expires> <type>`. */
const COMMON = `
local state, index, expiry, log, scratch = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local entries = string.sub(state, 1, -2) .. 'e'
local stored = redis.call('HMGET', state, 'tag', 'now', 'floor', 'count', 'bytes')
local tag = stored[1] or ''
local sequence = tag == '' and 0 or tonumber(string.sub(tag, 10, 22), 16)
local now = math.max(tonumber(ARGV[1]), tonumber(stored[2] or 0))

local function parse(header)
  local etag, created, modified, expires, type = string.match(header, '^(%S+) (%d+) (%d+) (%d+) (.*)$')
  return { header = header, etag = etag, created = created, modified = modified, expires = tonumber(expires), type = type }
end

local function isLive(entry)
  return entry.expires == 0 or entry.expires > now
end
`;

/** ARGV 2 to 6: epoch and random bits of the tags, most changes and bytes of the log, most bytes of a logged value. */
const CHANGING = `
local epoch, random = ARGV[2], ARGV[3]
local maxCount, maxBytes, maxLogged = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local floor, count, bytes = tonumber(stored[3] or 0), tonumber(stored[4] or 0), tonumber(stored[5] or 0)
local changed = false

local function nextTag()
  sequence = sequence + 1
  tag = epoch .. '-' .. string.format('%013x', sequence) .. '-' .. random
  return tag
end

local function sizeOf(fields)
  local size = 0
  for i = 2, #fields, 2 do size = size + #fields[i] end
  return size
end

local function note(etag, ...)
  local fields = { ... }
  redis.call('XADD', log, tonumber(string.sub(etag, 10, 22), 16) .. '-0', unpack(fields))
  count = count + 1
  bytes = bytes + sizeOf(fields)
  changed = true
end

local function remove(key, etag, expires, kind)
  redis.call('DEL', entries .. key)
  redis.call('ZREM', index, key)
  if expires ~= 0 then redis.call('ZREM', expiry, key) end
  note(etag, 'c', kind, 'k', key, 'e', etag)
end

local function put(key, entry, before)
  local header = entry.header
  if entry.same then
    redis.call('HSET', entries .. key, 'h', header)
  else
    redis.call('HSET', entries .. key, 'h', header, 'v', entry.value)
  end
  if not before then redis.call('ZADD', index, 0, key) end
  if entry.expires ~= 0 then
    redis.call('ZADD', expiry, string.format('%.0f', entry.expires), key)
  elseif before and before.expires ~= 0 then
    redis.call('ZREM', expiry, key)
  end
  if #entry.value <= maxLogged then
    note(entry.etag, 'c', 'put', 'k', key, 'h', header, 'v', entry.value)
  else
    note(entry.etag, 'c', 'put', 'k', key, 'h', header, 's', tostring(#entry.value))
  end
end

local function trimLog()
  while count > maxCount or bytes > maxBytes do
    local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 16)
    if #oldest == 0 then break end
    for _, change in ipairs(oldest) do
      if count <= maxCount and bytes <= maxBytes then break end
      floor = tonumber(string.match(change[1], '^%d+'))
      count = count - 1
      bytes = bytes - sizeOf(change[2])
    end
    redis.call('XTRIM', log, 'MINID', (floor + 1) .. '-0')
  end
end

local function finish()
  if not changed then return end
  trimLog()
  redis.call('HSET', state, 'tag', tag, 'now', string.format('%.0f', now), 'floor', floor, 'count', count, 'bytes', bytes)
  redis.call('SPUBLISH', state, tag)
end
`;

/**
 * Does operations on keys of the partition, in order: KEYS 6 and on are the entries. ARGV 7 is 1 for all or nothing, ARGV 8
 * the most bytes that may be found; then seven for each operation: what to do, the number of its entry in KEYS, its
 * condition as JSON, how its expiry is meant, a time, the type or what to add, and the value (operations.ts).
 *
 * Answers now, the partition's last tag and one list for each operation: what it came to, then header and value where
 * there are; or `!`, a code and the present tag. An atomic batch that was refused has one answer and its index.
 */
export const WRITE = script(
  COMMON,
  CHANGING,
  `
local atomic, maxFound, found = ARGV[7] == '1', tonumber(ARGV[8]), 0
local planned, steps, answers = {}, {}, {}

local function matches(tags, entry)
  if not entry then return false end
  if tags == '*' then return true end
  for _, etag in ipairs(tags) do
    if etag == entry.etag then return true end
  end
  return false
end

local function wholeSeconds(entry)
  return tonumber(entry.modified) - tonumber(entry.modified) % 1000
end

-- RFC 9110, section 13.2.2
local function holds(condition, entry)
  if condition.ifMatch then
    if not matches(condition.ifMatch, entry) then return false end
  elseif condition.ifUnmodifiedSince then
    if entry and wholeSeconds(entry) > condition.ifUnmodifiedSince then return false end
  end
  if condition.ifNoneMatch then
    if matches(condition.ifNoneMatch, entry) then return false end
  elseif condition.ifModifiedSince then
    if entry and wholeSeconds(entry) <= condition.ifModifiedSince then return false end
  end
  return true
end

local function load(name)
  if planned[name] == nil then
    local header = redis.call('HGET', name, 'h')
    planned[name] = header and parse(header) or false
  end
  return planned[name]
end

local function valueOf(name, entry)
  if not entry.value then entry.value = redis.call('HGET', name, 'v') end
  return entry.value
end

local function sum(value, by)
  if #value > 20 or not (value == '0' or string.match(value, '^-?[1-9]%d*$')) then return nil, 'not-an-integer' end
  redis.call('HSET', scratch, 'n', value)
  local done = redis.pcall('HINCRBY', scratch, 'n', by)
  local result = redis.call('HGET', scratch, 'n')
  redis.call('DEL', scratch)
  if type(done) ~= 'table' then return result end
  return nil, string.find(done.err, 'hash value', 1, true) and 'not-an-integer' or 'integer-overflow'
end

local function expiresAt(mode, time, entry)
  if mode == 'in' then return now + tonumber(time) end
  if mode == 'at' then return tonumber(time) end
  return mode == 'keep' and entry and entry.expires or 0
end

local function plan(op, name, condition, mode, time, detail, value)
  local before = load(name)
  local entry = before and isLive(before) and before or nil
  if not entry and op == 'touch' then return { '!', 'missing-key', '' } end
  if not entry and op == 'get' then return { 'absent' } end
  if condition ~= '' and not holds(cjson.decode(condition), entry) then
    return { '!', 'precondition-failed', entry and entry.etag or '' }
  end
  if op == 'check' then return { 'checked' } end
  -- The same call once more, because its answer was lost.
  if op == 'put' and entry and not entry.planned and string.sub(entry.etag, 24) == random then
    return { entry.created == entry.modified and 'created' or 'updated', entry.header }
  end
  if op == 'get' then
    found = found + #valueOf(name, entry)
    if found > maxFound then return { '!', 'body-too-large', '' } end
    return { 'found', entry.header, entry.value }
  end
  local after
  if op ~= 'delete' then
    after = { planned = true, type = detail, value = value, expires = expiresAt(mode, time, entry) }
    if op == 'incr' then
      local refusal
      after.value, refusal = sum(entry and valueOf(name, entry) or '0', detail)
      if refusal then return { '!', refusal, '' } end
      after.type = entry and entry.type or value
      if entry then after.expires = entry.expires end
    elseif op == 'touch' then
      -- A value that is only planned so far is not stored yet.
      after.type, after.value, after.same = entry.type, valueOf(name, entry), not entry.planned
    end
    after.created = entry and entry.created or string.format('%.0f', now)
    after.modified = string.format('%.0f', now)
  end
  local key = string.sub(name, #entries + 1)
  if before and not entry then
    steps[#steps + 1] = { remove, key, nextTag(), before.expires, 'expire' }
  end
  if op == 'delete' then
    if not entry then
      if before then planned[name] = false end
      return { 'absent' }
    end
    steps[#steps + 1] = { remove, key, nextTag(), entry.expires, 'delete' }
    planned[name] = false
    return { 'deleted' }
  end
  after.etag = nextTag()
  after.header = after.etag .. ' ' .. after.created .. ' ' .. after.modified .. ' '
    .. string.format('%.0f', after.expires) .. ' ' .. after.type
  steps[#steps + 1] = { put, key, after, entry }
  planned[name] = after
  return { entry and 'updated' or 'created', after.header, op ~= 'put' and after.value or nil }
end

local function carryOut()
  for _, step in ipairs(steps) do step[1](unpack(step, 2, 5)) end
  steps = {}
end

local first, startSequence, startTag = 9, sequence, tag
for i = first, #ARGV, 7 do
  local answer = plan(ARGV[i], KEYS[tonumber(ARGV[i + 1])], unpack(ARGV, i + 2, i + 6))
  answers[#answers + 1] = answer
  if atomic then
    if answer[1] == '!' then return { string.format('%.0f', now), startTag, { '!', answer[2], answer[3], #answers - 1 } } end
  else
    carryOut()
  end
end
carryOut()
finish()
return { string.format('%.0f', now), tag, unpack(answers) }
`,
);

/** Removes what has expired, at most ARGV 7 entries. Answers now and how many there were. */
export const SWEEP = script(
  COMMON,
  CHANGING,
  `
local due = redis.call('ZRANGEBYSCORE', expiry, '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[7])
for _, key in ipairs(due) do
  local expires = tonumber(redis.call('ZSCORE', expiry, key))
  remove(key, nextTag(), expires, 'expire')
end
finish()
return { string.format('%.0f', now), tag, #due }
`,
);

/**
 * Reads the keys of a part of the index, in order, and what belongs to them.
 *
 * ARGV 2 to 9: lower and upper bound as ZRANGEBYLEX takes them, 1 for downwards, most names, the prefix, the delimiter or
 * nothing, most bytes of values and most bytes of one. Answers the last tag, how far it has looked (nothing if to the end),
 * and for each entry its key, header, size and value, or nothing where the value is too large to be sent along; for each
 * group its name and nothing.
 */
export const PAGE = script(
  COMMON,
  `
local low, high, down = ARGV[2], ARGV[3], ARGV[4] == '1'
local limit, prefix, delimiter = tonumber(ARGV[5]), ARGV[6], ARGV[7]
local room, maxValue = tonumber(ARGV[8]), tonumber(ARGV[9])
local names, seen, last = {}, 0, nil

local function after(name)
  if down then high = '(' .. name else low = '(' .. name end
end

local function groupOf(key)
  if delimiter == '' then return nil end
  local _, stop = string.find(key, delimiter, #prefix + 1, true)
  return stop and string.sub(key, 1, stop)
end

local function keysFrom(most)
  if down then return redis.call('ZREVRANGEBYLEX', index, high, low, 'LIMIT', 0, most) end
  return redis.call('ZRANGEBYLEX', index, low, high, 'LIMIT', 0, most)
end

-- Past a group: no byte of UTF-8 is 255.
local function afterGroup(group)
  if down then high, last = '(' .. group, group else low = '[' .. group .. string.char(255) end
end

local count, done = 0, false
while count < limit and seen < limit + 1000 and not done do
  local most = delimiter == '' and limit - count or 16
  local keys = keysFrom(most)
  done = #keys < most
  for i, key in ipairs(keys) do
    seen = seen + 1
    last = key
    after(key)
    local header = redis.call('HGET', entries .. key, 'h')
    local entry = header and parse(header)
    if entry and isLive(entry) then
      local group = groupOf(key)
      count = count + 1
      if group then
        names[#names + 1] = { group }
        afterGroup(group)
        done = false
        break
      end
      local size = redis.call('HSTRLEN', entries .. key, 'v')
      local value = false
      if size <= maxValue and size <= room then
        value = redis.call('HGET', entries .. key, 'v')
        room = room - size
      end
      names[#names + 1] = { key, header, size, value }
      if count >= limit then
        done = done and i == #keys
        break
      end
    end
  end
end
return { tag, (not done) and last or false, names }
`,
);

/** How many keys of the index lie between ARGV 2 and 3 (ZRANGEBYLEX), without those of prefix ARGV 4 that have expired. */
export const COUNT = script(
  COMMON,
  `
local live = redis.call('ZLEXCOUNT', index, ARGV[2], ARGV[3])
for _, key in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', string.format('%.0f', now))) do
  if string.sub(key, 1, #ARGV[4]) == ARGV[4] then live = live - 1 end
end
return live
`,
);

/**
 * Reads the change log behind the sequence ARGV 2, whose change had the random bits ARGV 3, up to ARGV 4 bytes. Answers the
 * last tag and the changes; or nothing if the log cannot serve it: dropped, from the future, or undone by a failover.
 */
export const CHANGES = script(
  COMMON,
  `
local from, random, room = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local floor = tonumber(stored[3] or 0)
if from > sequence or from < floor then return false end
local start = from
if from > floor then
  local known = redis.call('XRANGE', log, from .. '-0', from .. '-0')[1]
  if not known then return false end
  local fields = known[2]
  local etag = fields[5] == 'e' and fields[6] or string.match(fields[6], '^%S+')
  if string.sub(etag, 24, 23 + #random) ~= random then return false end
end
local changes = {}
while room > 0 do
  local next = redis.call('XRANGE', log, '(' .. string.format('%.0f', start) .. '-0', '+', 'COUNT', 16)
  for _, change in ipairs(next) do
    changes[#changes + 1] = change[2]
    start = tonumber(string.match(change[1], '^%d+'))
    for i = 2, #change[2], 2 do room = room - #change[2][i] end
  end
  if #next < 16 then break end
end
return { tag, changes }
`,
);
