-- Before every script. KEYS[1] is the start of all keys of a partition, such as "tidegate:{0}:".
local base = KEYS[1]
local time = redis.call('TIME')
-- Microseconds of the server: no process's own clock is asked.
local now = time[1] * 1000000 + time[2]

-- Keys that one step reads: the server does nothing else meanwhile.
local CHUNK = 100
-- Rows that one call sweeps.
local STEP = 1000
-- How long the outcome of a run is kept, in milliseconds.
local RUN_KEPT = 600000
-- How long a copy for an export is kept after its last use, in milliseconds.
local EXPORT_KEPT = 600000
-- Bytes before the contents of an entry: version, moment of expiry (0 for none), schema, kind.
local HEADER = 21
local INTEGER = '\1'

-- The keys of a module.
local function values_of(module) return base .. 'store:values:' .. module end
local function index_of(module) return base .. 'store:index:' .. module end
local function expiry_of(module) return base .. 'store:expiry:' .. module end
local function done_of(module) return base .. 'store:done:' .. module end
local function waiting_of(module) return base .. 'store:waiting:' .. module end
local function timers_of(module) return base .. 'store:timers:' .. module end
local function timed_of(module) return base .. 'store:timed:' .. module end
local function usage_of(module) return base .. 'store:usage:' .. module end

-- A number as a text without an exponent.
local function digits(number) return string.format('%.0f', number) end

local function version_of(entry) return string.sub(entry, 1, 8) end

local function expires_of(entry) return (struct.unpack('>I8', entry, 9)) end

local function is_expired(entry, at)
    local expires = expires_of(entry)
    return expires > 0 and expires <= at
end

-- How many bytes of a value count for the quota.
local function bytes_of(entry)
    if string.sub(entry, HEADER, HEADER) == INTEGER then return 8 end
    return #entry - HEADER
end

-- Visits each key of a range with its entry, in order, until a visit returns true. An empty `after` or
-- `last` is none.
local function walk(module, prefix, after, last, visit)
    local from = after ~= '' and '(' .. after or '[' .. prefix
    -- No text has the byte 255.
    local to = last ~= '' and '[' .. last or '(' .. prefix .. '\255'
    while true do
        local keys = redis.call('ZRANGEBYLEX', index_of(module), from, to, 'LIMIT', 0, CHUNK)
        if #keys == 0 then return end
        local entries = redis.call('HMGET', values_of(module), unpack(keys))
        for i, key in ipairs(keys) do
            if not entries[i] then error('the key ' .. key .. ' has no value') end
            if visit(key, entries[i]) then return end
        end
        if #keys < CHUNK then return end
        from = '(' .. keys[#keys]
    end
end

-- Stands for keys and versions that were visited.
local function digest(parts) return redis.sha1hex(table.concat(parts)) end

local function usage(module)
    local stored = redis.call('HMGET', usage_of(module), 'number', 'bytes', 'keys', 'relayed', 'timers')
    local function number(at) return tonumber(stored[at] or 0) end
    return {
        number = number(1), bytes = number(2), keys = number(3), relayed = number(4),
        timers = number(5),
    }
end

local function keep_usage(module, usage)
    redis.call('HSET', usage_of(module), 'number', digits(usage.number), 'bytes',
        digits(usage.bytes), 'keys', digits(usage.keys), 'relayed', digits(usage.relayed),
        'timers', digits(usage.timers))
end

-- Bytes of a place: number of a commit, and the place in it.
local PLACE = 12

local function place(number, at) return struct.pack('>I8I4', number, at) end

-- The row of a timer in `timed_of`, by what stands in `timers_of`: its place and its key, which may be empty.
-- No key has the byte 255.
local function timed_row(member)
    if #member > PLACE then return string.sub(member, PLACE + 1) end
    return '\255' .. member
end

-- Says when the first timer of a module is due.
local function set_alarm(module)
    local first = redis.call('ZRANGE', timers_of(module), 0, 0, 'WITHSCORES')[2]
    if first then
        redis.call('ZADD', base .. 'store:alarms', first, module)
    else
        redis.call('ZREM', base .. 'store:alarms', module)
    end
end

-- Says when something of a module is to be swept.
local function due(module, at)
    redis.call('ZADD', base .. 'store:due', 'LT', digits(at), module)
end

-- Takes away some of what has expired of a module. Returns how many rows that were.
local function sweep(module)
    local held, swept = usage(module), 0
    for _, key in ipairs(redis.call('ZRANGEBYSCORE', expiry_of(module), '-inf', digits(now), 'LIMIT', 0, STEP)) do
        local entry = redis.call('HGET', values_of(module), key)
        redis.call('ZREM', expiry_of(module), key)
        redis.call('ZREM', index_of(module), key)
        redis.call('HDEL', values_of(module), key)
        if entry then
            held.keys = held.keys - 1
            held.bytes = held.bytes - #key - bytes_of(entry)
        end
        swept = swept + 1
    end
    if swept > 0 then keep_usage(module, held) end
    local rest = STEP - swept
    for _, message in ipairs(redis.call('ZRANGEBYSCORE', done_of(module), '-inf', digits(now), 'LIMIT', 0, rest)) do
        redis.call('ZREM', done_of(module), message)
        swept = swept + 1
    end
    redis.call('ZREM', base .. 'store:due', module)
    for _, key in ipairs({ expiry_of(module), done_of(module) }) do
        local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
        if first then due(module, tonumber(first)) end
    end
    return swept
end
