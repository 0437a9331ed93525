-- ARGV: reader, most messages, slots a module may hold, then modules and the slots they hold.
-- Returns {known, now, more, skipped, expired, {channel, entry, receipt, ...}}; the receipt is 0 unless
-- the channel delivers at least once. A reader that asks for none gives a hint to another where messages are.
local reader, most, ceiling = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local owners = base .. 'reader:' .. reader
if redis.call('EXISTS', owners) == 0 then return { 0, now, 0, 0, 0, {} } end
local held = {}
for i = 4, #ARGV, 2 do held[ARGV[i]] = tonumber(ARGV[i + 1]) end

-- Channels of this reader, the one that was served longest ago first. No further than needed:
-- whoever holds nothing is served before all others.
local ready = base .. 'ready'
local candidates, idle, skipped, start = {}, 0, 0, 0
repeat
    local names = redis.call('ZRANGE', ready, start, start + 63)
    local modules = #names > 0 and redis.call('HMGET', owners, unpack(names)) or {}
    for i, name in ipairs(names) do
        -- "MODULE", or "MODULE RETRIES LEASE CAPACITY" for a channel that delivers at least once.
        local module, rest = string.match(modules[i] or '', '^(%S+) ?(.*)$')
        if module then
            local holds = held[module] or 0
            if holds < ceiling then
                candidates[#candidates + 1] = { name = name, module = module, rest = rest }
                if holds == 0 then idle = idle + 1 end
            else
                skipped = 1
            end
        end
    end
    start = start + 64
until #names < 64 or idle >= math.max(most, 1)

local function choose()
    local best, fewest
    for i, candidate in ipairs(candidates) do
        local holds = held[candidate.module] or 0
        if holds < ceiling and (not best or holds < fewest) then
            best, fewest = i, holds
            if holds == 0 then break end
        end
    end
    return best
end

-- Keeps a message until it is settled. Returns the receipt.
local function lease(channel, rest, entry)
    local retries, micros, capacity = string.match(rest, '^(%d+) (%d+) (%d+)$')
    if not retries or #entry < HEADER then return 0 end
    local id = redis.call('INCR', base .. 'receipts')
    redis.call('ZADD', base .. 'leased', now + tonumber(micros), id)
    redis.call('HSET', base .. 'leased:messages', id, cmsgpack.pack({
        channel = channel, entry = entry, retries = tonumber(retries),
        dead_capacity = tonumber(capacity),
    }))
    for _, key in ipairs({ 'receipts', 'leased', 'leased:messages' }) do
        redis.call('PEXPIRE', base .. key, KEPT / 1000 + LAST_RESORT)
    end
    return id
end

local taken, expired, turn = {}, 0, 0
while #taken < most * 3 do
    local at = choose()
    if not at then break end
    local candidate = table.remove(candidates, at)
    local key = base .. 'channel:' .. candidate.name
    -- No list: an error here would lose what was taken before.
    local entry = redis.pcall('LPOP', key)
    while type(entry) == 'string' and expiry(entry) <= now do
        expired = expired + 1
        entry = redis.pcall('LPOP', key)
    end
    local is_entry = type(entry) == 'string'
    if is_entry then
        local ok, receipt = pcall(lease, candidate.name, candidate.rest, entry)
        taken[#taken + 1] = candidate.name
        taken[#taken + 1] = entry
        taken[#taken + 1] = ok and receipt or 0
        held[candidate.module] = (held[candidate.module] or 0) + 1
    end
    if is_entry and redis.call('LLEN', key) > 0 then
        turn = turn + 1
        redis.call('ZADD', ready, 'XX', now + turn, candidate.name)
        candidates[#candidates + 1] = candidate
    else
        redis.call('ZREM', ready, candidate.name)
    end
end

local more = 0
for _, candidate in ipairs(candidates) do
    if (held[candidate.module] or 0) < ceiling then more = 1 else skipped = 1 end
end
if more + skipped > 0 then
    if #taken == 0 then even_without_memory() end
    hint(reader)
end
return { 1, now, more, skipped, expired, taken }
