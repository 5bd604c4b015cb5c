-- The beginning of all scripts on a partition. KEYS 1 to 5 are its Redis keys (partitions.ts), from which those of its entries
-- are made. ARGV 1 is the caller's time, milliseconds since 1970. Headers are those of record.ts.
local state, index, expiry, log, scratch = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local entries = string.sub(state, 1, -2) .. 'e'
local stored = redis.call('HMGET', state, 'tag', 'now', 'floor', 'count', 'bytes', 'moved')
local tag = stored[1] or ''
local sequence = tag == '' and 0 or tonumber(string.sub(tag, 10, 22), 16)
local now = math.max(tonumber(ARGV[1]), tonumber(stored[2] or 0))

-- Where the database has moved: then nothing is changed any more.
local moved = stored[6]

local function parse(header)
  local etag, created, modified, expires, type = string.match(header, '^(%S+) (%d+) (%d+) (%d+) (.*)$')
  return { header = header, etag = etag, created = created, modified = modified, expires = tonumber(expires), type = type }
end

local function isLive(entry)
  return entry.expires == 0 or entry.expires > now
end
