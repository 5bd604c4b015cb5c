-- Comes before write.lua for a write without an Idempotency-Key.
local FIRST_OPERATION = 12
local once, LAST = nil, #ARGV
