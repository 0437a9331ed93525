-- Keeps the answer to a request with an idempotency key, or forgets the request. ARGV: key, what to keep or an
-- empty text, for how many milliseconds. Returns 1.
local key = base .. 'once:' .. ARGV[1]
if ARGV[2] == '' then
    redis.call('DEL', key)
else
    redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
end
return 1
