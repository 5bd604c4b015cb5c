-- Makes the hash KEYS 1 from the fields and values ARGV unless it exists, and returns what it holds. When two servers start at
-- the same time, the first decides for both.
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end
return redis.call('HGETALL', KEYS[1])
