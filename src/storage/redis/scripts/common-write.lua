-- The beginning, after common.lua, of scripts that write. ARGV 2 to 6: epoch and random digits of the new tags; the bytes of
-- the log that are kept at any age, and the most bytes; the most bytes of a value in it.
--
-- The log is bounded so that a busy key does not push out what the watchers of others still need. Up to its share of bytes it
-- keeps everything; more than that as long as it is younger than a minute; and never more than all partitions together may
-- have. Lines up to `aged` are older than a minute: it follows `marked`, which was the last line at `markedAt`.
local epoch, random = ARGV[2], ARGV[3]
local shareBytes, maxBytes, maxLogged = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local bytes, aged = tonumber(stored[4] or 0), tonumber(stored[5] or 0)
local marked, markedAt = tonumber(stored[6] or 0), tonumber(stored[7] or 0)
local LEAST_AGE, LINE_OVERHEAD, LINES_AT_ONCE = 60000, 64, 16
local startSequence, written, line = sequence, 0, nil

local function nextTag()
  sequence = sequence + 1
  tag = epoch .. '-' .. string.format('%013x', sequence) .. '-' .. random
  return tag
end

local function sizeOf(fields)
  local size = LINE_OVERHEAD
  for i = 2, #fields, 2 do size = size + #fields[i] end
  return size
end

local function addLine()
  if not line then return end
  redis.call('XADD', log, sequenceOf(tagOf(line)) .. '-0', unpack(line))
  bytes = bytes + sizeOf(line)
  written = written + 1
  line = nil
end

-- Keeps the line back until the next one, because `finish` may have to add to the last.
local function logChange(...)
  addLine()
  line = { ... }
end

-- What the log has of a change beside the change (logged-change.ts): the sequence, in hexadecimal, of the put that made the entry
-- with the header `before`, or 0 if there was none; and who made the change, unless nobody is known.
local function circumstances(before, by)
  local replaces = before and string.match(before, '^%x+%-0*(%x+)') or '0'
  return by == '' and replaces or replaces .. ' ' .. by
end

local function remove(key, etag, before, kind, by)
  redis.call('DEL', entries .. key)
  redis.call('ZREM', index, key)
  if before.expires ~= 0 then redis.call('ZREM', expiry, key) end
  logChange('c', kind, 'k', key, 'e', etag, 't', text(now), 'w', circumstances(before.header, by))
end

local function put(key, entry, before, by)
  local header = entry.header
  if entry.sameValue then
    redis.call('HSET', entries .. key, 'h', header)
  else
    local field, other = SMALL_FIELD, LARGE_FIELD
    if #entry.value > LARGE then field, other = other, field end
    local name = entries .. key
    -- One new field: the value before was in the other.
    if redis.call('HSET', name, 'h', header, field, entry.value) == 1 then redis.call('HDEL', name, other) end
  end
  if not before then redis.call('ZADD', index, 0, key) end
  if entry.expires ~= 0 then
    redis.call('ZADD', expiry, text(entry.expires), key)
  elseif before and before.expires ~= 0 then
    redis.call('ZREM', expiry, key)
  end
  local kind = before and 'updated' or 'created'
  local size = entry.value and #entry.value or entry.size
  local who = circumstances(before and before.header, by)
  if size <= maxLogged then
    logChange('c', kind, 'k', key, 'h', header, 'v', entry.value, 'w', who)
  else
    logChange('c', kind, 'k', key, 'h', header, 's', tostring(size), 'w', who)
  end
end

-- Drops the oldest lines, up to `last`, where the log has more than `limit` bytes; an eighth more, so that few writes have to,
-- but only some at once: a script holds up everybody.
local function trim(limit, last)
  if bytes <= limit or floor >= last then return end
  local lines = redis.call('XRANGE', log, '-', '+', 'COUNT', 2 * written + LINES_AT_ONCE)
  for _, each in ipairs(lines) do
    local number = tonumber(string.match(each[1], '^%d+'))
    if bytes <= limit * 7 / 8 or number > last then break end
    floor = number
    bytes = math.max(0, bytes - sizeOf(each[2]))
  end
  redis.call('XTRIM', log, 'MINID', text(floor + 1) .. '-0')
  redis.call('HSET', state, 'floor', text(floor), 'bytes', text(bytes))
end

-- A script never drops its own lines, nor the last one, which says how far the log has come.
local function trimLog()
  if now - markedAt >= LEAST_AGE then
    aged, marked, markedAt = marked, startSequence, now
    -- pcall: where memory is full, this is refused, and dropping lines is not.
    redis.pcall('HSET', state, 'aged', text(aged), 'marked', text(marked), 'markedAt', text(markedAt))
  end
  local last = math.min(startSequence, sequence - 1)
  trim(shareBytes, math.min(aged, last))
  trim(maxBytes, last)
end

-- `replies` is the text of `replies` in write.lua, where an earlier try of the same write may be asked for it.
local function finish(replies)
  if line and replies then
    line[#line + 1] = 'r'
    line[#line + 1] = replies
  end
  addLine()
  -- A sweep that finds nothing writes nothing, unless there is too much.
  if written > 0 or bytes > shareBytes then trimLog() end
  if written == 0 then return end
  redis.call('HSET', state, 'tag', tag, 'now', text(now), 'bytes', text(bytes))
  -- pcall: the message is only a hint, and what was written must not fail because the user may not use the channel.
  redis.pcall('SPUBLISH', state .. epoch, tag)
end
