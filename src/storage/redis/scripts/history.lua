-- Follows the changes of the key ARGV 2 through the log, newest first, from the lead ARGV 3, and returns up to ARGV 5 lines of those up to
-- the sequence ARGV 4.
--
-- A change leads to the put that it replaced (logged-change.ts): `p` and the sequence of that. What a put that created its entry comes
-- after, and what came last for a key without one, is a removal, which its index tells (removals.lua): `r` and the sequence before
-- which it is. An empty lead begins at the present, `own` at the change of ARGV 4 itself, if it is one of the key.
--
-- ARGV 6 is 1 for the version that the key had then: the entry as it is counts as a line, because it is that whether or not the log still
-- has its change; and the puts before and after it are looked for.
--
-- Returns why it ended, where to go on, the tags of the put after and of that before, the last sequence that the log has dropped, and the
-- lines. It ends with `full`; with `start` or `cut` where there is nothing more, or nothing more that the log has; with `unknown` where
-- nobody knows; with `more` when others should have a turn; or with `index` where the index has to be brought up first.
local key, lead, upTo = ARGV[2], ARGV[3], tonumber(ARGV[4])
local limit, isVersion = tonumber(ARGV[5]), ARGV[6] == '1'
local AT_ONCE, bytesLeft, MAX_LOGGED = 128, 256 * 1024, 64 * 1024
local removals = string.sub(state, 1, -2) .. 'r'
local name = entries .. key
local header = redis.call('HGET', name, 'h')
local lines, after, before, reason, passed = {}, '', '', nil, 0

local function lineAt(number)
  if number <= floor then return nil end
  local found = redis.call('XRANGE', log, text(number) .. '-0', text(number) .. '-0')[1]
  return found and found[2][4] == key and found[2]
end

local function lastRemoval(below)
  local start = key .. '\255'
  local last = '(' .. start .. string.format('%013x', below)
  local found = redis.call('ZREVRANGEBYLEX', removals, last, '[' .. start, 'LIMIT', 0, 1)[1]
  return found and tonumber(string.sub(found, -13), 16)
end

-- Where the change before that of a line is; nil if the line, of an earlier version, does not say.
local function leadOf(line, number)
  local replaces = line and line[#line - 1] == 'r' and line[#line - 2] or line and line[#line]
  if not line or (line[#line - 1] ~= 'w' and line[#line - 3] ~= 'w') then return nil end
  local put = tonumber(string.match(replaces, '^%x+'), 16)
  return put == 0 and 'r' .. text(number) or 'p' .. text(put)
end

-- The entry as it is, as a line of the log.
local function presentLine()
  local size = storedSize(name)
  if size > MAX_LOGGED then return { 'c', 'updated', 'k', key, 'h', header, 's', tostring(size) } end
  return { 'c', 'updated', 'k', key, 'h', header, 'v', storedValue(name) }
end

-- Returns the sequence of the change that the lead leads to. Without one, it has ended.
local function follow()
  local number = tonumber(string.sub(lead, 2))
  if string.sub(lead, 1, 1) == 'p' then return number end
  if tonumber(redis.call('HGET', state, 'indexed') or 0) < number - 1 then
    reason = 'index'
    return nil
  end
  local removal = lastRemoval(number)
  if removal and removal > floor then return removal end
  reason = floor > 0 and 'cut' or 'start'
end

-- Takes a change: as a line, or as the put after or before the version.
local function take(line, number)
  local isPut = line[5] == 'h'
  if number > upTo then
    if isPut then after = tagOf(line) end
  elseif #lines < limit then
    lines[#lines + 1] = line
  elseif isPut or not isVersion then
    before, reason = tagOf(line), 'full'
  end
  passed = passed + 1
  for i = 2, #line, 2 do bytesLeft = bytesLeft - #line[i] end
end

local present = header and sequenceOf(string.match(header, '^%S+'))
if isVersion and present and present <= upTo and limit > 0 and (lead == '' or lead == 'own') then
  take(presentLine(), present)
  lead = leadOf(lineAt(present), present)
elseif lead == 'own' and lineAt(upTo) then
  lead = 'p' .. text(upTo)
elseif lead == '' or lead == 'own' then
  lead = present and 'p' .. text(present) or 'r' .. text(sequence + 1)
end

while not reason do
  if not lead then
    reason = 'unknown'
  elseif #lines == limit and limit > 0 and not isVersion then
    reason = 'full'
  elseif passed >= AT_ONCE or bytesLeft <= 0 then
    reason = 'more'
  else
    local number = follow()
    local line = number and lineAt(number)
    -- A removal that does not say when it was made is one of an earlier version.
    local isTold = line and (line[5] == 'h' or line[7] == 't')
    if isTold then
      take(line, number)
      if not reason then lead = leadOf(line, number) end
    elseif number then
      reason = 'unknown'
    end
  end
end
return { reason, lead or '', after, before, text(floor), lines }
