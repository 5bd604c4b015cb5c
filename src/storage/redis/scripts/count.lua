-- Returns the last tag, and how many keys of the index lie between the bounds ARGV 2 and 3 of ZRANGEBYLEX, less those that have expired. Lua
-- compares text by the locale of the server, so that Redis has to say which of the expired keys are between the bounds.
local low, high = ARGV[2], ARGV[3]
local live = redis.call('ZLEXCOUNT', index, low, high)
if live == 0 then return { tag, 0 } end
for _, key in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', text(now))) do
  local here = '[' .. key
  if redis.call('ZLEXCOUNT', index, low, here) > 0 and redis.call('ZLEXCOUNT', index, here, high) > 0 then live = live - 1 end
end
return { tag, live }
