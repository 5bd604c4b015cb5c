-- Returns how many keys of the index lie between the bounds ARGV 2 and 3 of ZRANGEBYLEX, less those that have expired, which
-- are found by their prefix ARGV 4.
local live = redis.call('ZLEXCOUNT', index, ARGV[2], ARGV[3])
for _, key in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', string.format('%.0f', now))) do
  if string.sub(key, 1, #ARGV[4]) == ARGV[4] then live = live - 1 end
end
return live
