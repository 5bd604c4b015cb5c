-- The beginning, after common.lua, of scripts that write. ARGV 2 to 6: epoch and random digits of the new tags; the most
-- changes and bytes of the log, and the most bytes of a value in it.
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

local function logChange(etag, ...)
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
  logChange(etag, 'c', kind, 'k', key, 'e', etag)
end

local function put(key, entry, before)
  local header = entry.header
  if entry.sameValue then
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
    logChange(entry.etag, 'c', 'put', 'k', key, 'h', header, 'v', entry.value)
  else
    logChange(entry.etag, 'c', 'put', 'k', key, 'h', header, 's', tostring(#entry.value))
  end
end

-- Drops an eighth of the log at once, so that few writes have to.
local function trimLog()
  local targetCount, targetBytes = maxCount * 7 / 8, maxBytes * 7 / 8
  while count > maxCount or bytes > maxBytes do
    local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 16)
    if #oldest == 0 then break end
    for _, line in ipairs(oldest) do
      if count <= targetCount and bytes <= targetBytes then break end
      floor = tonumber(string.match(line[1], '^%d+'))
      count = count - 1
      bytes = bytes - sizeOf(line[2])
    end
    redis.call('XTRIM', log, 'MINID', (floor + 1) .. '-0')
  end
end

local function finish()
  if not changed then return end
  trimLog()
  redis.call('HSET', state, 'tag', tag, 'now', string.format('%.0f', now), 'floor', floor, 'count', count, 'bytes', bytes)
  -- pcall: the message is only a hint, and what was written must not fail because the user may not use the channel.
  redis.pcall('SPUBLISH', state .. epoch, tag)
end
