-- Removes what has expired, at most ARGV 7 entries. Answers now, the partition's last tag and how many there were.
local due = redis.call('ZRANGEBYSCORE', expiry, '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[7])
for _, key in ipairs(due) do
  local expires = tonumber(redis.call('ZSCORE', expiry, key))
  remove(key, nextTag(), expires, 'expire')
end
finish()
return { string.format('%.0f', now), tag, #due }
