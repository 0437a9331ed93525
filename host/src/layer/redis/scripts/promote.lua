-- Sends the messages that are due. Returns {microseconds until the next one or -1, expired, full,
-- gone, inboxes that were full, unreadable}.
even_without_memory()
local queue, kept = base .. 'later', base .. 'later:messages'
local expired, full, gone, inbox_full, unreadable = 0, 0, 0, 0, 0

local function is_ours(later)
    return type(later) == 'table' and type(later.target) == 'string'
        and type(later.payload) == 'string' and tonumber(later.limit)
        and tonumber(later.life) and tonumber(later.due)
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, 100)) do
    local stored = redis.call('HGET', kept, id)
    -- One that cannot be read must not keep the others.
    local ok, later = pcall(cmsgpack.unpack, stored)
    local over = true
    if not ok or not is_ours(later) then
        unreadable = unreadable + 1
    elseif later.kind == 'node' then
        local done, outcome = pcall(deliver, later.target, later.limit, later.payload)
        if not done then outcome = 'gone' end
        if outcome == 'gone' then gone = gone + 1 end
        if outcome == 'full' then inbox_full = inbox_full + 1 end
    else
        local done, taken, dropped =
            pcall(push, later.target, later.limit, later.life, later.payload)
        expired = expired + (done and dropped or 0)
        if not done or not taken then
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
return { wait, expired, full, gone, inbox_full, unreadable }
