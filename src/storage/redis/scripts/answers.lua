-- What writes with an Idempotency-Key came to (partitions.ts, `a` and `n`). An answer is, packed: the fingerprint of its write,
-- when it ends, the random digits of the try that was carried out, and the replies of that (write.lua).
local start = string.sub(state, 1, -2)
local answers, ends = start .. 'a', start .. 'n'

-- The replies to a keyed write, after what is known of them: `once`, when they end, and whether a try with other digits than
-- `own` was carried out. Returns nil if it was not done, or is forgotten.
local function answerTo(id, fingerprint, own)
  local stored = redis.call('HGET', answers, id)
  if not stored then return nil end
  local answer = cmsgpack.unpack(stored)
  if tonumber(answer[2]) <= now then return nil end
  if answer[1] ~= fingerprint then return { { 'mismatch' } } end
  return { { 'once', answer[2], answer[3] == own and 0 or 1 }, unpack(answer[4]) }
end
