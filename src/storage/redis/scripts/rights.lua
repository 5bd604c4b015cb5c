-- Answers which of the commands ARGV, words between spaces, the user of the connection may not call (ACL SETUSER). They must
-- be whole: Redis 7.0 crashes when it is asked about one without its keys.
local missing = {}
for _, command in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(command, '%S+') do words[#words + 1] = word end
  if not redis.acl_check_cmd(unpack(words)) then missing[#missing + 1] = command end
end
return missing
