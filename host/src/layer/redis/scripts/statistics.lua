-- Returns {groups, messages to be sent later, {channel, messages, age of the oldest, ...}}; ages in
-- microseconds and not below 0, of 1,000 channels at most.
local channels = {}
for _, channel in ipairs(redis.call('ZRANGE', base .. 'ready', 0, 999)) do
    local key = base .. 'channel:' .. channel
    local head = is_list(key) and redis.call('LINDEX', key, 0)
    if head then
        -- The clock of the server that took the head may have been ahead of this one's.
        local sent = #head >= HEADER and struct.unpack('>I8', head, 11) or now
        channels[#channels + 1] = channel
        channels[#channels + 1] = redis.call('LLEN', key)
        channels[#channels + 1] = math.max(now - sent, 0)
    end
end
return { redis.call('SCARD', base .. 'groups'), redis.call('ZCARD', base .. 'later'), channels }
