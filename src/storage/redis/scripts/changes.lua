-- Reads the change log behind the sequence ARGV 2, whose change had the random bits ARGV 3, up to ARGV 4 bytes. Answers the
-- last tag and the changes; or nothing if the log cannot serve it: dropped, from the future, or undone by a failover.
local from, random, room = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local floor = tonumber(stored[3] or 0)
if from > sequence or from < floor then return false end
local start = from
if from > floor then
  local known = redis.call('XRANGE', log, from .. '-0', from .. '-0')[1]
  if not known then return false end
  local fields = known[2]
  local etag = fields[5] == 'e' and fields[6] or string.match(fields[6], '^%S+')
  if string.sub(etag, 24, 23 + #random) ~= random then return false end
end
local changes = {}
while room > 0 do
  local next = redis.call('XRANGE', log, '(' .. string.format('%.0f', start) .. '-0', '+', 'COUNT', 16)
  for _, change in ipairs(next) do
    changes[#changes + 1] = change[2]
    start = tonumber(string.match(change[1], '^%d+'))
    for i = 2, #change[2], 2 do room = room - #change[2][i] end
  end
  if #next < 16 then break end
end
return { tag, changes }
