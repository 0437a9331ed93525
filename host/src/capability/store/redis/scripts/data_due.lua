-- ARGV: timers and bytes at most. Moves timers that are due to the parcels of their modules. Returns the
-- microseconds until the next is due, or an empty text if there is none, and the modules.
local rest, bytes_max, bytes, modules = tonumber(ARGV[1]), tonumber(ARGV[2]), 0, {}
local alarms = base .. 'store:alarms'

-- Moves timers of one module. Returns how many rows that were.
local function move(module)
    local members = redis.call('ZRANGEBYSCORE', timers_of(module), '-inf', digits(now), 'LIMIT', 0, rest)
    local held, moved, taken = usage(module), 0, 0
    held.number = held.number + 1
    for _, member in ipairs(members) do
        if bytes >= bytes_max then break end
        local timer = redis.call('HGET', timed_of(module), timed_row(member))
        redis.call('ZREM', timers_of(module), member)
        taken = taken + 1
        if timer then
            local parcel = string.sub(timer, PLACE + 1)
            redis.call('HDEL', timed_of(module), timed_row(member))
            redis.call('ZADD', waiting_of(module), 0, place(held.number, moved) .. parcel)
            moved, bytes = moved + 1, bytes + #parcel
        end
    end
    if moved > 0 then
        held.timers = held.timers - moved
        held.relayed = held.relayed + moved
        keep_usage(module, held)
        modules[#modules + 1] = module
    end
    set_alarm(module)
    return taken
end

while rest > 0 and bytes < bytes_max do
    local module = redis.call('ZRANGEBYSCORE', alarms, '-inf', digits(now), 'LIMIT', 0, 1)[1]
    if not module then break end
    -- Redis out of memory lets this script go on: it needs hardly more.
    redis.call('DEL', base .. 'store:none')
    rest = rest - move(module)
end
local first = redis.call('ZRANGE', alarms, 0, 0, 'WITHSCORES')[2]
return { first and digits(math.max(0, tonumber(first) - now)) or '', unpack(modules) }
