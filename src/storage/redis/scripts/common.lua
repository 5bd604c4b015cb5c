-- The beginning of all scripts on a partition. KEYS 1 to 5 are its Redis keys (partitions.ts), from which those of its entries
-- are made. ARGV 1 is the highest time that the caller knows of this server. Times are in milliseconds since 1970. Headers are
-- those of record.ts.
local state, index, expiry, log, scratch = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local entries = string.sub(state, 1, -2) .. 'e'
local stored = redis.call('HMGET', state, 'tag', 'now', 'floor', 'bytes', 'aged', 'marked', 'markedAt', 'tries', 'moved')
-- A partition has its state from the beginning. Where it is missing, the server has lost it, or has got the slot before the keys
-- (`redis-cli --cluster fix`): what was written now would be a second beginning.
if not stored[2] then return redis.error_reply('EMPTY the partition has no state here') end
local tag = stored[1] or ''
local floor = tonumber(stored[3] or 0)

local function sequenceOf(etag)
  return etag == '' and 0 or tonumber(string.sub(etag, 10, 22), 16)
end

local sequence = sequenceOf(tag)

-- The server's clock decides, and no caller's. It may be set back, or be another server's after a failover, so that the time
-- of a partition is the highest that it has seen.
local clock = redis.call('TIME')
local time = clock[1] * 1000 + math.floor(clock[2] / 1000)
local now = math.max(time, tonumber(ARGV[1]), tonumber(stored[2]))

-- Where the database has moved: then nothing is changed any more.
local moved = stored[9]

local function parse(header)
  local etag, created, modified, expires, type = string.match(header, '^(%S+) (%d+) (%d+) (%d+) (.*)$')
  return { header = header, etag = etag, created = created, modified = modified, expires = tonumber(expires), type = type }
end

local function isLive(entry)
  return entry.expires == 0 or entry.expires > now
end

-- The tag of the change that a line of the log describes.
local function tagOf(fields)
  return fields[5] == 'e' and fields[6] or string.match(fields[6], '^%S+')
end

local function text(number)
  return string.format('%.0f', number)
end
