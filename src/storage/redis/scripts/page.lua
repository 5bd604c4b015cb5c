-- Reads keys of the indexes of partitions, in order, with their entries.
--
-- ARGV 2 to 10: lower and upper bound for ZRANGEBYLEX; 1 for descending order; the prefix; the delimiter or nothing; the limit of
-- items of a partition; 1 if names are enough, be they of entries that have expired; the most bytes of all values of a partition
-- together, and of a single one, which is negative if none are wanted. ARGV 11 says how many arguments each partition has, which
-- come then: its state and, if there are two, the key after which it is read on, or nothing.
--
-- Returns for each a text of words, and where values are wanted a list of it and of the value of each item, which is false for a
-- group and if it is too large. The words are the last tag; the last key that was read, or nothing at the end of the range; and of
-- each item its name, and unless names are enough its size and header, which are empty for a group. Between words is a byte that
-- UTF-8 does not have: a list of as many texts costs both processes more than what they say.
local descending, prefix, delimiter, limit = ARGV[4] == '1', ARGV[5], ARGV[6], tonumber(ARGV[7])
local namesOnly, mostBytes, maxValue = ARGV[8] == '1', tonumber(ARGV[9]), tonumber(ARGV[10])
local hasAfter = ARGV[11] == '2'
local command, first, second = 'ZRANGEBYLEX', 2, 3
if descending then command, first, second = 'ZREVRANGEBYLEX', 3, 2 end
local BETWEEN = string.char(255)

local function groupOf(key)
  if delimiter == '' then return nil end
  local _, stop = string.find(key, delimiter, #prefix + 1, true)
  return stop and string.sub(key, 1, stop)
end

local function isLive(partition, header)
  local expires = header and string.match(header, '^%S+ %d+ %d+ (%d+)')
  return expires == '0' or (expires and tonumber(expires) > nowOf(partition))
end

local function add(part, name, size, header, value)
  local words = part.words
  part.count = part.count + 1
  words[#words + 1] = name
  if namesOnly then return end
  words[#words + 1] = size
  words[#words + 1] = header
  if maxValue >= 0 then part.reply[part.count + 1] = value end
end

local function addEntry(part, key, header)
  if namesOnly then return add(part, key) end
  local name = part.entries .. key
  local size = storedSize(name)
  local fits = size <= maxValue and size <= part.bytesLeft
  if fits then part.bytesLeft = part.bytesLeft - size end
  add(part, key, size, header, fits and storedValue(name))
end

-- Adds items up to the limit. Returns the last key that was read, or nothing at the end.
local function addItems(part, from, to)
  local visited, last, done, place = 0, nil, false, nil
  local most, mostText = limit, ARGV[7]
  if delimiter ~= '' then most, mostText = 16, '16' end
  while part.count < limit and visited < limit + 1000 and not done do
    if last then
      from, place = place or '(' .. last, nil
      if delimiter == '' then most, mostText = limit - part.count, tostring(limit - part.count) end
    end
    local keys = call(command, part.index, from, to, 'LIMIT', '0', mostText)
    done = #keys < most
    for i, key in ipairs(keys) do
      visited = visited + 1
      last = key
      local header = not namesOnly and call('HGET', part.entries .. key, 'h')
      if namesOnly or isLive(part, header) then
        local group = groupOf(key)
        if group then
          add(part, group, '', '', false)
          -- The first place outside the group.
          if descending then place, last = '(' .. group, group else place = '[' .. group .. BETWEEN end
          done = false
          break
        end
        addEntry(part, key, header)
        if part.count >= limit then
          done = done and i == #keys
          break
        end
      end
    end
  end
  return not done and last or ''
end

local function read(at)
  local part = open(ARGV[at])
  local from, to = ARGV[first], ARGV[second]
  if hasAfter and ARGV[at + 1] ~= '' then from = '(' .. ARGV[at + 1] end
  part.words, part.count, part.bytesLeft, part.reply = { tagOf(part), '' }, 0, mostBytes, {}
  part.words[2] = addItems(part, from, to)
  part.reply[1] = table.concat(part.words, BETWEEN)
  return maxValue < 0 and part.reply[1] or part.reply
end

return readEach(12, hasAfter and 2 or 1, read)
