-- Reads keys of the index, in order, with their entries.
--
-- ARGV 2 to 9: lower and upper bound for ZRANGEBYLEX; 1 for descending order; the limit of items; the prefix; the delimiter or
-- nothing; the most bytes of all values together, and of a single one. Returns the last tag; the last key that was read, or
-- nothing at the end of the index; and the items: for an entry its key, header, size and value, which is nothing if it is too
-- large; for a group its name.
local low, high, descending = ARGV[2], ARGV[3], ARGV[4] == '1'
local limit, prefix, delimiter = tonumber(ARGV[5]), ARGV[6], ARGV[7]
local bytesLeft, maxValue = tonumber(ARGV[8]), tonumber(ARGV[9])
local items, visited, last = {}, 0, nil

local function groupOf(key)
  if delimiter == '' then return nil end
  local _, stop = string.find(key, delimiter, #prefix + 1, true)
  return stop and string.sub(key, 1, stop)
end

local function nextKeys(most)
  if descending then return redis.call('ZREVRANGEBYLEX', index, high, low, 'LIMIT', 0, most) end
  return redis.call('ZRANGEBYLEX', index, low, high, 'LIMIT', 0, most)
end

local function continueAfter(key)
  if descending then high = '(' .. key else low = '(' .. key end
end

-- No byte of UTF-8 is 255, so it sorts after all keys of the group.
local function continueAfterGroup(group)
  if descending then high, last = '(' .. group, group else low = '[' .. group .. string.char(255) end
end

local count, done = 0, false
while count < limit and visited < limit + 1000 and not done do
  local most = delimiter == '' and limit - count or 16
  local keys = nextKeys(most)
  done = #keys < most
  for i, key in ipairs(keys) do
    visited = visited + 1
    last = key
    continueAfter(key)
    local header = redis.call('HGET', entries .. key, 'h')
    local entry = header and parse(header)
    if entry and isLive(entry) then
      local group = groupOf(key)
      count = count + 1
      if group then
        items[#items + 1] = { group }
        continueAfterGroup(group)
        done = false
        break
      end
      local name = entries .. key
      local size = redis.call('HSTRLEN', name, SMALL_FIELD)
      if size == 0 then size = redis.call('HSTRLEN', name, LARGE_FIELD) end
      local value = false
      if size <= maxValue and size <= bytesLeft then
        value = storedValue(name)
        bytesLeft = bytesLeft - size
      end
      items[#items + 1] = { key, header, size, value }
      if count >= limit then
        done = done and i == #keys
        break
      end
    end
  end
end
return { tag, (not done) and last or false, items }
