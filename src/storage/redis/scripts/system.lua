-- Sets the field ARGV 2 of the hash KEYS 2 to ARGV 3, or removes it without ARGV 3. Returns where the database has moved if the
-- state KEYS 1 says so; then nothing is changed unless ARGV 1 is 1.
local moved = redis.call('HGET', KEYS[1], 'moved')
if moved and ARGV[1] ~= '1' then return moved end
if ARGV[3] then redis.call('HSET', KEYS[2], ARGV[2], ARGV[3]) else redis.call('HDEL', KEYS[2], ARGV[2]) end
return false
