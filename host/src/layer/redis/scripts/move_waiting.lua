-- Moves an entry that waits in a channel to the end of another one, or drops it. ARGV: channel, when the entry was
-- sent, its digest, the other channel or an empty text, its capacity, life of the message there. Returns "ok",
-- "gone" or "full".
local key = base .. 'channel:' .. ARGV[1]
if not is_list(key) then return 'gone' end
local entry = find_sent(key, redis.call('LLEN', key), tonumber(ARGV[2]), ARGV[3])
if not entry then return 'gone' end
if ARGV[4] == '' then
    even_without_memory()
else
    local payload = string.sub(entry, HEADER + 1)
    if push(ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), payload) ~= 'ok' then return 'full' end
end
redis.call('LREM', key, 1, entry)
if redis.call('LLEN', key) == 0 then redis.call('ZREM', base .. 'ready', ARGV[1]) end
return 'ok'
