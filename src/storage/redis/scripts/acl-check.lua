-- Returns those of the commands ARGV that the user of the connection may not call. A command is given as words with spaces
-- between them, whole: Redis 7.0 crashes when it is asked about a command without its keys.
local refused = {}
for _, command in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(command, '%S+') do words[#words + 1] = word end
  if not redis.acl_check_cmd(unpack(words)) then refused[#refused + 1] = command end
end
return refused
