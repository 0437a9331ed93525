-- Sends a message and takes it again. ARGV: channel, payload. Returns whether it is the same.
local channel, payload = ARGV[1], ARGV[2]
local pushed, trouble = pcall(push, channel, 1, 5000000, payload)
local entry = redis.call('LPOP', base .. 'channel:' .. channel)
redis.call('ZREM', base .. 'ready', channel)
if not pushed then error(trouble) end
return entry and string.sub(entry, HEADER + 1) == payload and 1 or 0
