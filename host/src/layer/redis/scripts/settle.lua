-- Says what becomes of a message that was taken. ARGV: receipt, "done", "again" or "dead", for "again"
-- the pause in microseconds. Returns "ok", "gone" if the lease has run out, "full" if the channel for
-- what cannot be done had no room.
even_without_memory()
local id = ARGV[1]
local leased, messages = base .. 'leased', base .. 'leased:messages'
local stored = redis.call('HGET', messages, id)
if not stored then return 'gone' end
if ARGV[2] == 'again' then
    -- It is leased to nobody meanwhile.
    redis.call('ZADD', leased, now + tonumber(ARGV[3]), id)
    return 'ok'
end
redis.call('ZREM', leased, id)
redis.call('HDEL', messages, id)
if ARGV[2] == 'dead' then
    local done, has_room = pcall(function() return bury(cmsgpack.unpack(stored)) end)
    if not done or not has_room then return 'full' end
end
return 'ok'
