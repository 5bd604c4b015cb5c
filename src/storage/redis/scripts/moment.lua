-- Finds a moment in the log: the end of the time ARGV 3 if ARGV 2 is `time`, else the change of the sequence ARGV 3, whose tag ends with the random
-- digits that begin with ARGV 4. Returns the sequence of the last change before it; `reached` if the log has every change since, `gone`, or
-- `strange` if that sequence had another change, or none; the time of the first line of the
-- log; and of a time that, which is never later than the present.
local number = tonumber(ARGV[3])

-- The time of the first line from `start` on that says it: those of earlier versions do not, of removals.
local function timeFrom(start)
  while start <= sequence do
    local fields = redis.call('XRANGE', log, text(start) .. '-0', '+', 'COUNT', 1)[1][2]
    if fields[5] == 'h' then return tonumber(string.match(fields[6], '^%S+ %d+ (%d+)')) end
    if fields[7] == 't' then return tonumber(fields[8]) end
    start = start + 1
  end
  return math.huge
end

local first = floor < sequence and timeFrom(floor + 1) or math.huge
local oldest = first < math.huge and text(first) or ''

if ARGV[2] == 'time' then
  -- Times never run backwards, so the log is searched by halves.
  local low, high, at = floor, sequence + 1, math.min(number, now)
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    if timeFrom(middle) <= at then low = middle else high = middle end
  end
  return { text(low), (low > floor or floor == 0) and 'reached' or 'gone', oldest, text(at) }
end

local function stateOf()
  if number < floor then return 'gone' end
  if number == floor then return 'reached' end
  local line = redis.call('XRANGE', log, text(number) .. '-0', text(number) .. '-0')[1]
  return line and string.sub(tagOf(line[2]), 24, 23 + #ARGV[4]) == ARGV[4] and 'reached' or 'strange'
end

return { text(number), stateOf(), oldest }
