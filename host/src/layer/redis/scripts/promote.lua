-- Sends the messages that are due, and those again whose worker is gone or whose pause is over.
-- Returns {microseconds until the next one or -1, expired, full, gone, inboxes that were full, sent
-- again, not to be done, not to be done and without room}.
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
local leased, messages = base .. 'leased', base .. 'leased:messages'
local again, dead, lost = 0, 0, 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', now, 'LIMIT', 0, 100)) do
    local stored = redis.call('HGET', messages, id)
    redis.call('ZREM', leased, id)
    redis.call('HDEL', messages, id)
    local message = stored and cmsgpack.unpack(stored)
    if not message then
        gone = gone + 1
    elseif string.byte(message.entry, 2) < message.retries then
        push_again(message)
        again = again + 1
    elseif bury(message) then
        dead = dead + 1
    else
        lost = lost + 1
    end
end

local wait = -1
for _, key in ipairs({ queue, leased }) do
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
    local left = first and math.max(0, tonumber(first) - now) or -1
    if left >= 0 and (wait < 0 or left < wait) then wait = left end
end
return { wait, expired, full, gone, inbox_full, again, dead, lost }
