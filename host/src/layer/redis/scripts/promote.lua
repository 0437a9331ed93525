-- Sends the messages that are due. Returns {microseconds until the next one or -1, expired, full,
-- gone, inboxes that were full}.
local queue, kept = base .. 'later', base .. 'later:messages'
local expired, full, gone, inbox_full = 0, 0, 0, 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, 100)) do
    local stored = redis.call('HGET', kept, id)
    local later = stored and cmsgpack.unpack(stored)
    local over = true
    if not later then
        gone = gone + 1
    elseif later.kind == 'node' then
        local outcome = deliver(later.target, later.limit, later.payload)
        if outcome == 'gone' then gone = gone + 1 end
        if outcome == 'full' then inbox_full = inbox_full + 1 end
    else
        local taken, dropped = push(later.target, later.limit, later.life, later.payload)
        expired = expired + dropped
        if not taken then
            -- Tried again until it would have expired in the channel.
            over = now >= later.due + later.life
            if over then full = full + 1 else redis.call('ZADD', queue, now + 100000, id) end
        end
    end
    if over then
        redis.call('ZREM', queue, id)
        redis.call('HDEL', kept, id)
    end
end
local first = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
local wait = first[2] and math.max(0, tonumber(first[2]) - now) or -1
return { wait, expired, full, gone, inbox_full }
