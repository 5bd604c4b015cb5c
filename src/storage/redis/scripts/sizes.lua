-- Returns the bytes of the values of the entries KEYS together.
local bytes = 0
for _, name in ipairs(KEYS) do bytes = bytes + storedSize(name) end
return bytes
