-- Comes before write.lua for a write with an Idempotency-Key, which is done once. The last ARGV: the id of the key, the
-- fingerprint of the write, for how long its answer is kept, the bytes of answers that are kept at any age and the most bytes,
-- `values` if the answer has the values that are put, `attempt` if a condition that fails is not remembered.
--
-- Problem: a client that lost an answer sends its write again, perhaps by another server, days later. Design: the replies are
-- stored by the script that writes, so there are both or neither. What is too much goes as lines of the log do: up to its share
-- of bytes a partition keeps every answer, more than that for a minute, and never more than all partitions may have.
local FIRST_OPERATION = 12
local ONCE_ARGUMENTS, FORGET_AT_ONCE, MOST_ROUNDS, ANSWER_OVERHEAD = 7, 16, 64, 128
local LAST = #ARGV - ONCE_ARGUMENTS
local once = {
  id = ARGV[LAST + 1],
  fingerprint = ARGV[LAST + 2],
  ttl = tonumber(ARGV[LAST + 3]),
  share = tonumber(ARGV[LAST + 4]),
  most = tonumber(ARGV[LAST + 5]),
  keepsValues = ARGV[LAST + 6] == 'values',
  isAttempt = ARGV[LAST + 7] == 'attempt',
}

function once.recall()
  return answerTo(once.id, once.fingerprint, random)
end

local function forget(id, bytes)
  local stored = redis.call('HGET', answers, id)
  redis.call('HDEL', answers, id)
  redis.call('ZREM', ends, id)
  return stored and math.max(0, bytes - #stored - ANSWER_OVERHEAD) or bytes
end

-- Forgets what is over, and the oldest of what is too much. Returns the bytes that are left.
local function forgetOld(bytes)
  for _ = 1, MOST_ROUNDS do
    local oldest = redis.call('ZRANGEBYSCORE', ends, '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, FORGET_AT_ONCE)
    for i = 1, #oldest, 2 do
      local left = tonumber(oldest[i + 1]) - now
      local isYoung = once.ttl - left < LEAST_AGE
      if left > 0 and bytes <= (isYoung and once.most or once.share) then return bytes end
      bytes = forget(oldest[i], bytes)
    end
    if #oldest == 0 then return bytes end
  end
  return bytes
end

-- The reply as it is kept: with values that were read, sums of counters, and those that `values` asks for.
local function keptReply(op, value, reply)
  if reply[1] == '!' or not reply[2] then return reply end
  if op == 'get' or op == 'incr' then return reply end
  if op == 'put' then return { reply[1], reply[2], once.keepsValues and value or nil } end
  return { reply[1], reply[2], false, false, reply[3] and #reply[3] or reply[5] }
end

-- Remembers the replies. Returns them after what is known of them.
function once.remember(replies, arguments)
  local kept = {}
  for i, reply in ipairs(replies) do
    local first = FIRST_OPERATION + (i - 1) * arguments
    kept[i] = keptReply(ARGV[first], ARGV[first + 6], reply)
  end
  local expires = text(now + once.ttl)
  local answer = cmsgpack.pack({ once.fingerprint, expires, random, kept })
  -- First, because it may be refused: what is kept has to be allowed where nothing was written yet.
  local before = redis.call('HGET', answers, once.id)
  redis.call('HSET', answers, once.id, answer)
  redis.call('ZADD', ends, expires, once.id)
  local bytes = tonumber(redis.call('HGET', state, 'answered') or 0) + #answer + ANSWER_OVERHEAD
  if before then bytes = math.max(0, bytes - #before - ANSWER_OVERHEAD) end
  redis.call('HSET', state, 'answered', text(forgetOld(bytes)))
  return { { 'once', expires, 0 }, unpack(replies) }
end

-- Whether what a whole write was refused with is remembered.
function once.isDecided(code)
  return code ~= 'body-too-large' and not once.isAttempt
end
