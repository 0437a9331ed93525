-- Returns {groups, messages to be sent later, {channel, messages, age of the oldest, ...}}; ages in
-- microseconds, of 1,000 channels at most.
local channels = {}
for _, channel in ipairs(redis.call('ZRANGE', base .. 'ready', 0, 999)) do
    local key = base .. 'channel:' .. channel
    local head = is_list(key) and redis.call('LINDEX', key, 0)
    if head and #head >= HEADER then
        channels[#channels + 1] = channel
        channels[#channels + 1] = redis.call('LLEN', key)
        channels[#channels + 1] = now - (struct.unpack('>I8', head, 11))
    end
end
return { redis.call('SCARD', base .. 'groups'), redis.call('ZCARD', base .. 'later'), channels }
