-- Returns for each of the partitions whose states ARGV names from 4 on a text: its last tag, and how many keys of its index lie between
-- the bounds ARGV 2 and 3 of ZRANGEBYLEX, less those that have expired. Lua compares text by the locale of the server, so that
-- Redis has to say which of the expired keys are between the bounds.
local low, high = ARGV[2], ARGV[3]

local function read(at)
  local partition = open(ARGV[at])
  local index = partition.index
  local live = call('ZLEXCOUNT', index, low, high)
  if live == 0 then return tagOf(partition) .. ' 0' end
  for _, key in ipairs(call('ZRANGEBYSCORE', partition.expiry, '-inf', string.format('%.0f', nowOf(partition)))) do
    local here = '[' .. key
    if call('ZLEXCOUNT', index, low, here) > 0 and call('ZLEXCOUNT', index, here, high) > 0 then live = live - 1 end
  end
  return tagOf(partition) .. ' ' .. live
end

return readEach(4, 1, read)
