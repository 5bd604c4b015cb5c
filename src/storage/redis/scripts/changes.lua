-- Reads the changes after the sequence ARGV 2, whose change has a tag with the random digits ARGV 3, up to about ARGV 4 bytes.
-- Returns the last tag and the changes; or nothing if the log cannot serve this position, because it was dropped, comes from
-- the future or was undone by a failover.
local from, random, bytesLeft = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
if from > sequence or from < floor then return false end
local last = from
if from > floor then
  local known = redis.call('XRANGE', log, from .. '-0', from .. '-0')[1]
  if not known then return false end
  if string.sub(tagOf(known[2]), 24, 23 + #random) ~= random then return false end
end
local changes = {}
while bytesLeft > 0 do
  local lines = redis.call('XRANGE', log, '(' .. text(last) .. '-0', '+', 'COUNT', 16)
  for _, line in ipairs(lines) do
    changes[#changes + 1] = line[2]
    last = tonumber(string.match(line[1], '^%d+'))
    for i = 2, #line[2], 2 do bytesLeft = bytesLeft - #line[2][i] end
  end
  if #lines < 16 then break end
end
return { tag, changes }
