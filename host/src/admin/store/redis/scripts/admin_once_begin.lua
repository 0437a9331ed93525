-- Begins a request with an idempotency key, unless one began before. ARGV: key, what to keep, for how many
-- milliseconds. Returns what the one before has left, or an empty text.
local key = base .. 'once:' .. ARGV[1]
local kept = redis.call('GET', key)
if kept then return kept end
redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
return ''
