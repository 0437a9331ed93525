-- Sends the messages that are due, and those again whose worker is gone or whose pause is over.
-- Returns {microseconds until the next one or -1, expired, full, gone, inboxes that were full,
-- unreadable, sent again, not to be done, not to be done and without room, turn, microseconds until `presence`
-- has something to do or -1}.
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
        local done, outcome, dropped =
            pcall(push, later.target, later.limit, later.life, later.payload)
        expired = expired + (done and dropped or 0)
        if not done or outcome ~= 'ok' then
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

local function was_leased(message)
    return type(message) == 'table' and type(message.channel) == 'string'
        and type(message.entry) == 'string' and #message.entry >= HEADER
        and tonumber(message.retries) and tonumber(message.dead_capacity)
end

local leased, messages = base .. 'leased', base .. 'leased:messages'
local again, dead, lost = 0, 0, 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', now, 'LIMIT', 0, 100)) do
    local ok, message = pcall(cmsgpack.unpack, redis.call('HGET', messages, id))
    redis.call('ZREM', leased, id)
    redis.call('HDEL', messages, id)
    if not ok or not was_leased(message) then
        unreadable = unreadable + 1
    elseif string.byte(message.entry, 2) < message.retries then
        if pcall(push_again, message) then again = again + 1 else lost = lost + 1 end
    else
        local done, has_room = pcall(bury, message)
        if done and has_room then dead = dead + 1 else lost = lost + 1 end
    end
end

local wait = -1
for _, key in ipairs({ queue, leased }) do
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
    local left = first and math.max(0, tonumber(first) - now) or -1
    if left >= 0 and (wait < 0 or left < wait) then wait = left end
end
local first = redis.call('ZRANGE', base .. 'presence', 0, 0, 'WITHSCORES')[2]
local presence = first and math.max(0, tonumber(first) - now) or -1
return { wait, expired, full, gone, inbox_full, unreadable, again, dead, lost, take_turn(), presence }
