-- Reads the keys of a part of the index, in order, and what belongs to them.
--
-- ARGV 2 to 9: lower and upper bound as ZRANGEBYLEX takes them, 1 for downwards, most names, the prefix, the delimiter or
-- nothing, most bytes of values and most bytes of one. Answers the last tag, how far it has looked (nothing if to the end),
-- and for each entry its key, header, size and value, or nothing where the value is too large to be sent along; for each
-- group its name and nothing.
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
