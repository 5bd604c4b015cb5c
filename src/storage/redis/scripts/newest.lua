-- Returns up to ARGV 2 changes of keys that begin with ARGV 3 and go on, newest first, from the last lines of the log, about
-- ARGV 4 bytes of them. A put has the size of its value in the value's place.
local wanted, prefix, bytesLeft = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local AT_ONCE = 8

local function withoutValue(fields)
  for i = 1, #fields, 2 do
    if fields[i] == 'v' then fields[i], fields[i + 1] = 's', tostring(#fields[i + 1]) end
  end
  return fields
end

local changes, last = {}, sequence
while last > floor and #changes < wanted and bytesLeft > 0 do
  local first = math.max(floor, last - AT_ONCE) + 1
  local lines = redis.call('XRANGE', log, text(first) .. '-0', text(last) .. '-0')
  for at = #lines, 1, -1 do
    local fields = lines[at][2]
    for i = 2, #fields, 2 do bytesLeft = bytesLeft - #fields[i] end
    local key = fields[4]
    if #changes < wanted and #key > #prefix and string.sub(key, 1, #prefix) == prefix then
      changes[#changes + 1] = withoutValue(fields)
    end
  end
  last = first - 1
end
return changes
