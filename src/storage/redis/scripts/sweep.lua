-- Removes at most ARGV 7 expired entries. Returns the time, the partition's last tag and how many entries it removed.
local expired = redis.call('ZRANGEBYSCORE', expiry, '-inf', text(now), 'LIMIT', 0, ARGV[7])
for _, key in ipairs(expired) do
  local expires = tonumber(redis.call('ZSCORE', expiry, key))
  remove(key, nextTag(), expires, 'expire')
end
finish()
return { text(now), tag, #expired }
