#!lua flags=no-writes,allow-cross-slot-keys
-- The beginning of scripts that read several partitions of one server. KEYS are those of the first; ARGV 1 is the highest
-- time that the caller knows of this server, milliseconds since 1970. The caller sees to it that all partitions are on one server. One whose slot moves meanwhile
-- is not read: every key of it that is not here is an error then, and a partition always has keys that never exist, which
-- keeps a server from answering for the first while its slot arrives (ASKING would let it: it takes them for absent).
local call = redis.call

local function open(state)
  local start = string.sub(state, 1, -2)
  return { state = state, index = start .. 'i', expiry = start .. 'x', entries = start .. 'e' }
end

-- The last tag. Every read of a partition asks for it, and fails where the partition is not (common.lua).
local function tagOf(partition)
  local tag = call('HGET', partition.state, 'tag')
  if tag then return tag end
  if not call('HGET', partition.state, 'now') then error({ err = 'EMPTY the partition has no state here' }) end
  return ''
end

-- The time of a partition (common.lua), which few have to know.
local function nowOf(partition)
  if not partition.now then
    local clock = call('TIME')
    local time = clock[1] * 1000 + math.floor(clock[2] / 1000)
    partition.now = math.max(time, tonumber(ARGV[1]), tonumber(call('HGET', partition.state, 'now') or 0))
  end
  return partition.now
end

-- Returns what `read` returns for each of the partitions that ARGV names from `first` on, with `step` arguments for each.
-- Where it fails: false, or the error if there is but one.
local function readEach(first, step, read)
  if #ARGV < first + step then return { read(first) } end
  local replies = {}
  for at = first, #ARGV, step do
    local done, reply = pcall(read, at)
    replies[#replies + 1] = done and reply
  end
  return replies
end
