-- Applies operations to entries of the partition, in order. KEYS 6 and on are the entries. ARGV 7 is 1 for all or nothing,
-- ARGV 8 the most bytes of values that may be found. Then come seven arguments for each operation (write-script.ts): its name,
-- the number of its entry in KEYS, its condition as JSON, the mode and the time of its expiry, the type or what to add, the
-- value.
--
-- Returns the time, the partition's last tag and a reply for each operation: its outcome, with header and value if there are
-- any, or `!`, an error code and the present tag. An atomic batch that is refused has one such reply, with the operation's
-- index. Instead of replies there is the place if the database has moved.
local atomic, maxFound, found = ARGV[7] == '1', tonumber(ARGV[8]), 0
local planned, steps, replies = {}, {}, {}

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
  if not entry.value then entry.value = redis.call('HGET', name, 'v') end
  return entry.value
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
local function plan(op, name, condition, mode, time, detail, value)
  local before = load(name)
  local entry = before and isLive(before) and before or nil
  if not entry and op == 'touch' then return { '!', 'missing-key', '' } end
  if not entry and op == 'get' then return { 'absent' } end
  if condition ~= '' and not holds(cjson.decode(condition), entry) then
    return { '!', 'precondition-failed', entry and entry.etag or '' }
  end
  if op == 'check' then return { 'checked' } end
  -- The same call again, because its reply was lost.
  if op == 'put' and entry and not entry.planned and string.sub(entry.etag, 24) == random then
    return { entry.created == entry.modified and 'created' or 'updated', entry.header }
  end
  if op == 'get' then
    found = found + #valueOf(name, entry)
    if found > maxFound then return { '!', 'body-too-large', '' } end
    return { 'found', entry.header, entry.value }
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
      after.type, after.value, after.sameValue = entry.type, valueOf(name, entry), not entry.planned
    end
    after.created = entry and entry.created or string.format('%.0f', now)
    after.modified = string.format('%.0f', now)
  end
  local key = string.sub(name, #entries + 1)
  if before and not entry then
    steps[#steps + 1] = { remove, key, nextTag(), before.expires, 'expire' }
  end
  if op == 'delete' then
    if not entry then
      if before then planned[name] = false end
      return { 'absent' }
    end
    steps[#steps + 1] = { remove, key, nextTag(), entry.expires, 'delete' }
    planned[name] = false
    return { 'deleted' }
  end
  after.etag = nextTag()
  after.header = after.etag .. ' ' .. after.created .. ' ' .. after.modified .. ' '
    .. string.format('%.0f', after.expires) .. ' ' .. after.type
  steps[#steps + 1] = { put, key, after, entry }
  planned[name] = after
  return { entry and 'updated' or 'created', after.header, op ~= 'put' and after.value or nil }
end

local function carryOut()
  for _, step in ipairs(steps) do step[1](unpack(step, 2, 5)) end
  steps = {}
end

if moved then return { string.format('%.0f', now), tag, moved } end

local startTag = tag
for i = 9, #ARGV, 7 do
  local reply = plan(ARGV[i], KEYS[tonumber(ARGV[i + 1])], unpack(ARGV, i + 2, i + 6))
  replies[#replies + 1] = reply
  if atomic then
    if reply[1] == '!' then return { string.format('%.0f', now), startTag, { '!', reply[2], reply[3], #replies - 1 } } end
  else
    carryOut()
  end
end
carryOut()
finish()
return { string.format('%.0f', now), tag, unpack(replies) }
