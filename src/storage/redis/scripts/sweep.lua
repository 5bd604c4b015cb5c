-- Removes at most ARGV 7 expired entries, and none of a database that has moved. Returns the time, the partition's last tag
-- and how many entries it removed.
if moved then return { text(now), tag, 0 } end
local expired = redis.call('ZRANGEBYSCORE', expiry, '-inf', text(now), 'LIMIT', 0, ARGV[7])
for _, key in ipairs(expired) do
  -- The index may have a key that has lost its entry.
  remove(key, nextTag(), { header = redis.call('HGET', entries .. key, 'h') or '' }, 'expire', '')
end
finish()
return { text(now), tag, #expired }
