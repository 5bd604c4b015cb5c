-- Applies operations to entries of the partition, in order, once, however often they are sent.
--
-- KEYS 6 and on are the entries. ARGV 7 is the server's time until which this may be carried out; ARGV 8 the number of this
-- try; ARGV 9 the last tag of the partition that the caller knew before its first. ARGV 10 is 1 for all or nothing, ARGV 11 the
-- most bytes of values that may be found. Then come the arguments of each operation (write-script.ts): its name, the number of
-- its entry in KEYS, its condition as JSON, the mode and the time of its expiry, the type or what to add, the value, who asks.
--
-- Returns the time, the partition's last tag and a reply for each operation: its outcome, with header and value if there are
-- any, or as the fifth the size of a large value that was touched, or `!`, an error code and the present tag. An atomic batch that is refused has one such reply, with the operation's
-- index. Where the database has moved there is the place instead of the replies. With an Idempotency-Key there is before them what
-- is known of the answer (answers.lua), unless that is not remembered.
--
-- Problem: an answer can get lost, and the caller sends its write again; but others may have written meanwhile, and the first
-- try may even arrive after the second. Design: all tries have the same random digits, which are in the tags that they give.
-- A later try leaves word for those that it has overtaken, and looks through the log since the tag that the caller knew: if an
-- earlier try is there, its replies are returned, and nothing is done. No try is carried out after the deadline, when the
-- caller has given up. Guarantee: a write is applied at most once, and not after its caller was told that it is unknown.
local deadline, try, known = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9]
local ARGUMENTS = 8
if time > deadline then return redis.error_reply('LATE ' .. text(time)) end

-- `tries` has, of every write that was sent again and is not past its deadline: its random digits, the last try, the deadline.
local tries = {}
for id, number, to in string.gmatch(stored[8] or '', '(%x+):(%d+):(%d+)') do
  if id == random then
    if tonumber(number) >= try then return redis.error_reply('OVERTAKEN by a later try') end
  elseif tonumber(to) >= time then
    tries[#tries + 1] = id .. ':' .. number .. ':' .. to
  end
end
if try > 1 then
  tries[#tries + 1] = random .. ':' .. try .. ':' .. text(deadline)
  redis.call('HSET', state, 'tries', table.concat(tries, ' '))
end

local atomic, maxFound, found = ARGV[10] == '1', tonumber(ARGV[11]), 0
local count = (LAST - FIRST_OPERATION + 1) / ARGUMENTS
local planned, steps, replies = {}, {}, {}

-- What an earlier try has left in the log: its lines, and the text of `repliesOf` if there is one. Returns nil if the log does
-- not tell, because it was trimmed since, or another server has taken over without the change that the caller knew.
local function earlierTry()
  local last = sequenceOf(known)
  if last > sequence or last < floor or (last == floor and last > 0) then return nil end
  if last > 0 then
    local line = redis.call('XRANGE', log, text(last) .. '-0', text(last) .. '-0')[1]
    if not line or tagOf(line[2]) ~= known then return nil end
  end
  local own = { lines = {} }
  while true do
    local lines = redis.call('XRANGE', log, '(' .. text(last) .. '-0', '+', 'COUNT', 16)
    for _, each in ipairs(lines) do
      local line = each[2]
      last = tonumber(string.match(each[1], '^%d+'))
      if string.sub(tagOf(line), 24) == random then
        if line[2] ~= 'expire' then own.lines[#own.lines + 1] = line end
        if line[#line - 1] == 'r' then own.words = line[#line] end
      end
    end
    if #lines < 16 then return own end
  end
end

-- The header and the value of the entry `name` when it had the tag `etag`; nil if they are gone.
local function asOf(name, etag, lines)
  for _, line in ipairs(lines) do
    if tagOf(line) == etag and line[7] == 'v' then return line[6], line[8] end
  end
  local header = redis.call('HGET', name, 'h')
  if header and string.match(header, '^%S+') == etag then return header, storedValue(name) end
end

local function outcomeOf(line)
  return line[2] == 'delete' and 'deleted' or line[2]
end

-- The replies of an earlier try; nil if a value is gone that they need. `words` has a word for each operation: its outcome, or
-- `!` with code and tag, or `found` with its tag. What was written is in `lines`, in the same order.
local function repliesOf(words, lines)
  local result, at = {}, 0
  for word in string.gmatch(words, '%S+') do
    local first = FIRST_OPERATION + #result * ARGUMENTS
    local kind, detail, etag = string.match(word, '^([^:]*):?([^:]*):?(.*)$')
    local reply = { kind }
    if kind == 'created' or kind == 'updated' or kind == 'deleted' then at = at + 1 end
    if kind == '!' then
      reply = { kind, detail, etag }
    elseif kind == 'found' then
      reply[2], reply[3] = asOf(KEYS[tonumber(ARGV[first + 1])], detail, lines)
    elseif kind == 'created' or kind == 'updated' then
      local header = lines[at][6]
      reply[2] = header
      if ARGV[first] ~= 'put' then
        reply[2], reply[3] = asOf(KEYS[tonumber(ARGV[first + 1])], string.match(header, '^%S+'), lines)
      end
    end
    if #reply == 1 and (kind == 'found' or kind == 'created' or kind == 'updated') then return nil end
    result[#result + 1] = reply
  end
  return result
end

-- The text that `repliesOf` reads; a single operation needs none.
local function wordsOf()
  if count == 1 then return nil end
  local words = {}
  for i, reply in ipairs(replies) do
    local kind = reply[1]
    if kind == '!' then
      words[i] = table.concat({ kind, reply[2], reply[3] }, ':')
    elseif kind == 'found' then
      words[i] = kind .. ':' .. string.match(reply[2], '^%S+')
    else
      words[i] = kind
    end
  end
  return table.concat(words, ' ')
end

local function matches(tags, entry)
  if not entry then return false end
  if tags == '*' then return true end
  for _, etag in ipairs(tags) do
    if etag == entry.etag then return true end
  end
  return false
end

local function wholeSeconds(entry)
  return tonumber(entry.modified) - tonumber(entry.modified) % 1000
end

-- RFC 9110, section 13.2.2
local function holds(condition, entry)
  if condition.ifMatch then
    if not matches(condition.ifMatch, entry) then return false end
  elseif condition.ifUnmodifiedSince then
    if entry and wholeSeconds(entry) > condition.ifUnmodifiedSince then return false end
  end
  if condition.ifNoneMatch then
    if matches(condition.ifNoneMatch, entry) then return false end
  elseif condition.ifModifiedSince then
    if entry and wholeSeconds(entry) <= condition.ifModifiedSince then return false end
  end
  return true
end

local function load(name)
  if planned[name] == nil then
    local header = redis.call('HGET', name, 'h')
    planned[name] = header and parse(header) or false
  end
  return planned[name]
end

local function valueOf(name, entry)
  if not entry.value then entry.value = storedValue(name) end
  return entry.value
end

local function sizeOfValue(name, entry)
  return entry.value and #entry.value or entry.size or storedSize(name)
end

local function sum(value, by)
  if #value > 20 or not (value == '0' or string.match(value, '^-?[1-9]%d*$')) then return nil, 'not-an-integer' end
  redis.call('HSET', scratch, 'n', value)
  local done = redis.pcall('HINCRBY', scratch, 'n', by)
  local result = redis.call('HGET', scratch, 'n')
  redis.call('DEL', scratch)
  if type(done) ~= 'table' then return result end
  return nil, string.find(done.err, 'hash value', 1, true) and 'not-an-integer' or 'integer-overflow'
end

local function expiresAt(mode, time, entry)
  if mode == 'in' then return now + tonumber(time) end
  if mode == 'at' then return tonumber(time) end
  return mode == 'keep' and entry and entry.expires or 0
end

-- Decides one operation on the entry `name`: queues its steps, or refuses it, and returns its reply.
local function plan(op, name, condition, mode, time, detail, value, by)
  if op == 'refuse' then return { '!', 'given', detail } end
  local before = load(name)
  local entry = before and isLive(before) and before or nil
  if not entry and op == 'touch' then return { '!', 'missing-key', '' } end
  if not entry and op == 'get' then return { 'absent' } end
  if condition ~= '' and not holds(cjson.decode(condition), entry) then
    return { '!', 'precondition-failed', entry and entry.etag or '' }
  end
  if op == 'check' then return { 'checked' } end
  if op == 'get' then
    local size = sizeOfValue(name, entry)
    found = found + size
    if found > maxFound then return { '!', 'body-too-large', '' } end
    return { 'found', entry.header, valueOf(name, entry) }
  end
  local after
  if op ~= 'delete' then
    after = { planned = true, type = detail, value = value, expires = expiresAt(mode, time, entry) }
    if op == 'incr' then
      local code
      after.value, code = sum(entry and valueOf(name, entry) or '0', detail)
      if code then return { '!', code, '' } end
      after.type = entry and entry.type or value
      if entry then after.expires = entry.expires end
    elseif op == 'touch' then
      -- The value of a planned entry is not stored yet.
      after.type, after.value, after.size = entry.type, entry.value, sizeOfValue(name, entry)
      after.sameValue = not entry.planned or entry.sameValue
      if after.size <= LARGE then after.value = valueOf(name, entry) end
    end
    after.created = entry and entry.created or text(now)
    after.modified = text(now)
  end
  local key = string.sub(name, #entries + 1)
  if before and not entry then
    steps[#steps + 1] = { remove, key, nextTag(), before, 'expire', '' }
  end
  if op == 'delete' then
    if not entry then
      if before then planned[name] = false end
      return { 'absent' }
    end
    steps[#steps + 1] = { remove, key, nextTag(), entry, 'delete', by }
    planned[name] = false
    return { 'deleted' }
  end
  after.etag = nextTag()
  after.header = after.etag .. ' ' .. after.created .. ' ' .. after.modified .. ' '
    .. text(after.expires) .. ' ' .. after.type
  steps[#steps + 1] = { put, key, after, entry, by }
  planned[name] = after
  local kind = entry and 'updated' or 'created'
  if op == 'put' then return { kind, after.header } end
  -- A large value is left out, with its size instead: small replies of the same connection would wait for it.
  if not after.value then return { kind, after.header, false, false, after.size } end
  return { kind, after.header, after.value }
end

local function carryOut()
  for _, step in ipairs(steps) do step[1](unpack(step, 2, 6)) end
  steps = {}
end

-- The replies, after what is known of a keyed write.
local function answered(etag, all)
  return { text(now), etag, unpack(all) }
end

if once then
  local earlier = once.recall()
  if earlier then return answered(tag, earlier) end
end

if try > 1 then
  local own = earlierTry()
  local words = own and (own.words or (own.lines[1] and outcomeOf(own.lines[1])))
  local earlier = words and repliesOf(words, own.lines)
  if not own or (words and not earlier) then return redis.error_reply('FORGOTTEN the log does not tell') end
  if earlier then return answered(tag, earlier) end
end

-- Only here: what an earlier try has done was done.
if moved then return { text(now), tag, moved } end

local startTag = tag
local refusal
for i = FIRST_OPERATION, LAST, ARGUMENTS do
  local reply = plan(ARGV[i], KEYS[tonumber(ARGV[i + 1])], unpack(ARGV, i + 2, i + 7))
  replies[#replies + 1] = reply
  if atomic then
    if reply[1] == '!' then
      refusal = { '!', reply[2], reply[3], #replies - 1 }
      break
    end
  else
    carryOut()
  end
end
if refusal then
  if once and once.isDecided(refusal[2]) then return answered(startTag, once.remember({ refusal }, ARGUMENTS)) end
  return answered(startTag, { refusal })
end
carryOut()
finish(wordsOf())
if not once then return answered(tag, replies) end
-- It has written nothing.
if once.isAttempt and replies[1][1] == '!' then return answered(tag, replies) end
return answered(tag, once.remember(replies, ARGUMENTS))
