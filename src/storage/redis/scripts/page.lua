-- Reads keys of the indexes of partitions, in order, with their entries.
--
-- ARGV 2 to 8: lower and upper bound for ZRANGEBYLEX; 1 for descending order; the prefix; the delimiter or nothing; the most
-- bytes of all values of a partition together, and of a single one. Then come four arguments for each partition: its state;
-- its limit of items; the key after which it is read on, or nothing; 1 if names are enough.
--
-- Returns for each the last tag alone if nothing is left to read; else the last tag; the last key that was read, or nothing at
-- the end of the index; and the items: of an entry its key, header, size and value, which is nothing if it is too large; its key
-- alone if names are enough, and no header has to be read to know that it has not expired; of a group its name in a list.
local descending, prefix, delimiter = ARGV[4] == '1', ARGV[5], ARGV[6]
local mostBytes, maxValue = tonumber(ARGV[7]), tonumber(ARGV[8])
local command, first, second = 'ZRANGEBYLEX', 2, 3
if descending then command, first, second = 'ZREVRANGEBYLEX', 3, 2 end

local function groupOf(key)
  if delimiter == '' then return nil end
  local _, stop = string.find(key, delimiter, #prefix + 1, true)
  return stop and string.sub(key, 1, stop)
end

local function itemOf(partition, key, header, bytesLeft)
  local name = partition.entries .. key
  local size = storedSize(name)
  if size > maxValue or size > bytesLeft then return { key, header, size }, 0 end
  return { key, header, size, storedValue(name) }, size
end

local function isLive(partition, header)
  local expires = header and string.match(header, '^%S+ %d+ %d+ (%d+)')
  return expires == '0' or (expires and tonumber(expires) > nowOf(partition))
end

local function hasNoExpired(partition)
  local first = call('ZRANGEBYSCORE', partition.expiry, '-inf', '+inf', 'WITHSCORES', 'LIMIT', '0', '1')
  return not first[2] or tonumber(first[2]) > nowOf(partition)
end

local function read(at)
  local partition, limit = open(ARGV[at]), tonumber(ARGV[at + 1])
  local from, to = ARGV[first], ARGV[second]
  if ARGV[at + 2] ~= '' then from = '(' .. ARGV[at + 2] end
  local items, visited, last, bytesLeft, done = {}, 0, nil, mostBytes, false
  local bare
  while #items < limit and visited < limit + 1000 and not done do
    local most = delimiter == '' and limit - #items or 16
    local keys = call(command, partition.index, from, to, 'LIMIT', '0', tostring(most))
    local grouped = false
    done = #keys < most
    if bare == nil and #keys > 0 then bare = ARGV[at + 3] == '1' and hasNoExpired(partition) end
    for i, key in ipairs(keys) do
      visited = visited + 1
      last = key
      local header = not bare and call('HGET', partition.entries .. key, 'h')
      if bare or isLive(partition, header) then
        local group = groupOf(key)
        if group then
          items[#items + 1] = { group }
          -- No byte of UTF-8 is 255, so it sorts after all keys of the group.
          if descending then from, last = '(' .. group, group else from = '[' .. group .. string.char(255) end
          grouped, done = true, false
          break
        end
        if bare then
          items[#items + 1] = key
        else
          local item, bytes = itemOf(partition, key, header, bytesLeft)
          items[#items + 1], bytesLeft = item, bytesLeft - bytes
        end
        if #items >= limit then
          done = done and i == #keys
          break
        end
      end
    end
    if not grouped and last then from = '(' .. last end
  end
  if done and #items == 0 then return tagOf(partition) end
  return { tagOf(partition), (not done) and last or false, items }
end

return readEach(9, 4, read)
