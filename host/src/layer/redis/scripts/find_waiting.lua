-- Shows an entry that waits in a channel. ARGV: channel, when it was sent, its digest. Returns the entry, or nothing.
local key = base .. 'channel:' .. ARGV[1]
if not is_list(key) then return false end
return (find_sent(key, redis.call('LLEN', key), tonumber(ARGV[2]), ARGV[3])) or false
