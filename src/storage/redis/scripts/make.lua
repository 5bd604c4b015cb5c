-- Makes the hash KEYS 1 of the fields and values ARGV unless it is there, and answers what it holds. Of two servers that start
-- at once the first decides, and none sees half of it.
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end
return redis.call('HGETALL', KEYS[1])
