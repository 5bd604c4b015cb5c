-- Where an entry has its value. A large one lies in a field of its own, so that who reads a small one does not get it unasked.
local LARGE = 256 * 1024
local SMALL_FIELD, LARGE_FIELD = 'v', 'b'

local function storedValue(name)
  return redis.call('HGET', name, SMALL_FIELD) or redis.call('HGET', name, LARGE_FIELD)
end

local function storedSize(name)
  local size = redis.call('HSTRLEN', name, SMALL_FIELD)
  return size > 0 and size or redis.call('HSTRLEN', name, LARGE_FIELD)
end
