-- Gives the partition with the state KEYS 1 its state, unless it has one.
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], 'now', ARGV[1]) end
return false
