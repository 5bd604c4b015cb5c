-- Sets the fence of the partition with the state KEYS 1 to ARGV 1, or lifts it without. The first command is one that a server
-- whose memory is full does not refuse: a database may be left for that very reason.
redis.call('HDEL', KEYS[1], 'moved')
if ARGV[1] then redis.call('HSET', KEYS[1], 'moved', ARGV[1]) end
return false
