-- Brings the index of removals (partitions.ts, `r`) up by about ARGV 2 bytes of lines. Returns 1 if it has come to the end of the log.
--
-- Problem: where a key was absent, the log does not lead from one of its changes to the next, and looking through the log would cost as much as
-- it is long. An index that each removal writes would make removals dearer for those who never ask. Design: who asks for the past brings
-- the index up to the present first, a piece at a time, so that every line is looked through once, and never where nobody asks. It is no
-- data: it is made from the log alone. What has left the log is taken out as it grows, two removals for each that comes in.
local bytesLeft = tonumber(ARGV[2])
local removals = string.sub(state, 1, -2) .. 'r'
local progress = redis.call('HMGET', state, 'indexed', 'swept')
local last = math.max(tonumber(progress[1] or 0), floor)
local added, isDone = {}, false
while bytesLeft > 0 and not isDone do
  local lines = redis.call('XRANGE', log, '(' .. text(last) .. '-0', '+', 'COUNT', 16)
  for _, line in ipairs(lines) do
    local fields = line[2]
    last = tonumber(string.match(line[1], '^%d+'))
    if fields[5] == 'e' then added[#added + 1] = fields[4] .. '\255' .. string.format('%013x', last) end
    for i = 2, #fields, 2 do bytesLeft = bytesLeft - #fields[i] end
  end
  isDone = #lines < 16
end

-- First what is never refused, because a server whose memory is full shows the past, too.
local from = progress[2] and progress[2] ~= '' and '(' .. progress[2] or '-'
local known = redis.call('ZRANGEBYLEX', removals, from, '+', 'LIMIT', 0, 2 * #added + 16)
redis.call('ZREM', removals, '')
for _, removal in ipairs(known) do
  if tonumber(string.sub(removal, -13), 16) <= floor then redis.call('ZREM', removals, removal) end
end
for _, removal in ipairs(added) do redis.call('ZADD', removals, 0, removal) end
redis.call('HSET', state, 'indexed', text(last), 'swept', known[2 * #added + 16] or '')
return isDone and 1 or 0
