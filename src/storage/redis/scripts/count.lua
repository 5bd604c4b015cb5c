-- How many keys of the index lie between ARGV 2 and 3 (ZRANGEBYLEX), without those of prefix ARGV 4 that have expired.
local live = redis.call('ZLEXCOUNT', index, ARGV[2], ARGV[3])
for _, key in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', string.format('%.0f', now))) do
  if string.sub(key, 1, #ARGV[4]) == ARGV[4] then live = live - 1 end
end
return live
