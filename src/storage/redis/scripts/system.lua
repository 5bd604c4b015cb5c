-- Sets the field ARGV 2 of the hash KEYS 2 to ARGV 4, or removes it without ARGV 4. ARGV 3 is '' for whatever the field holds, 'x' for
-- an absent one, else '=' and what it has to hold. Returns where the database has moved if the state KEYS 1 says so; then nothing
-- is changed unless ARGV 1 is 1. Returns 1 if that was done, 0 if the field holds something else.
local moved = redis.call('HGET', KEYS[1], 'moved')
if moved and ARGV[1] ~= '1' then return moved end
if ARGV[3] ~= '' then
  local found = redis.call('HGET', KEYS[2], ARGV[2])
  if ARGV[3] ~= (found and '=' .. found or 'x') then return 0 end
end
if ARGV[4] then redis.call('HSET', KEYS[2], ARGV[2], ARGV[4]) else redis.call('HDEL', KEYS[2], ARGV[2]) end
return 1
