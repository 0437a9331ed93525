-- Before every script. KEYS[1] is the start of all keys of a partition, such as "tidegate:{0}:".
local base = KEYS[1]
local time = redis.call('TIME')
-- Microseconds of the server: no process's own clock is asked.
local now = time[1] * 1000000 + time[2]

-- Past this many milliseconds nobody needs a key that nobody has touched: the last resort against
-- what is left when every process is gone.
local LAST_RESORT = 86400000
-- How long a message waits in a channel that delivers at least once, in microseconds.
local KEPT = 86400000000

-- Bytes before the map of a channel's entry: version, how often it was taken before, expiry, time of
-- sending.
local HEADER = 18

local function seal(attempt, life, payload)
    return '\1' .. string.char(attempt) .. struct.pack('>I8I8', now + life, now) .. payload
end

-- What is too short to have an expiry is no entry of ours: whoever takes it counts it.
local function expiry(entry)
    if #entry < HEADER then return math.huge end
    return (struct.unpack('>I8', entry, 3))
end

-- When an entry was sent; what is too short for that was sent before all others.
local function sent_at(entry)
    if #entry < HEADER then return 0 end
    return (struct.unpack('>I8', entry, 11))
end

-- The place of the first entry of a channel that was sent at a moment or later. Entries stand in the order in which
-- they were sent.
local function first_sent_at(key, length, moment)
    local low, high = 0, length
    while low < high do
        local middle = math.floor((low + high) / 2)
        if sent_at(redis.call('LINDEX', key, middle)) < moment then
            low = middle + 1
        else
            high = middle
        end
    end
    return low
end

-- An entry of a channel and its place, by when it was sent and its digest. Nothing if it is not there.
local function find_sent(key, length, sent, digest)
    local at = first_sent_at(key, length, sent)
    while at < length do
        local entry = redis.call('LINDEX', key, at)
        if sent_at(entry) ~= sent then return nil end
        if redis.sha1hex(entry) == digest then return entry, at end
        at = at + 1
    end
    return nil
end

-- Redis out of memory refuses what needs more of it, but not in a script that has written already.
-- What keeps a node alive or makes room in the end begins with this.
local function even_without_memory()
    redis.call('DEL', base .. 'none')
end

-- Does something for one of several. What is not ours in its key, or that it needs memory that there is
-- not, is the trouble of that one alone; anything else is that of all.
local function guarded(does, ...)
    local done, outcome, more = pcall(does, ...)
    if done then return outcome, more end
    local reason = type(outcome) == 'table' and outcome.err or tostring(outcome)
    local is_its_own = string.find(reason, '^WRONGTYPE') or string.find(reason, '^OOM')
    if not is_its_own then error(outcome) end
    return reason
end

-- Keeps a key for so many milliseconds at least.
local function keep_for(key, span)
    if redis.call('PTTL', key) < span then redis.call('PEXPIRE', key, span) end
end

local function is_alive(node)
    local lease = redis.call('ZSCORE', base .. 'nodes', node)
    return lease and tonumber(lease) > now
end

-- One hint is enough: whoever takes it and leaves something gives the next one.
local function hint(reader)
    local key = base .. 'wake:' .. reader
    if redis.call('LLEN', key) == 0 then
        redis.call('RPUSH', key, '1')
        redis.call('PEXPIRE', key, 60000)
    end
end

local function wake(channel)
    local readers = redis.call('HGETALL', base .. 'readers')
    for i = 1, #readers, 2 do
        if tonumber(readers[i + 1]) <= now then
            redis.call('HDEL', base .. 'readers', readers[i])
        elseif redis.call('HEXISTS', base .. 'reader:' .. readers[i], channel) == 1 then
            hint(readers[i])
        end
    end
end

-- Whether a channel holds messages. Something else may stand there that is none of ours.
local function is_list(key)
    return redis.call('TYPE', key).ok == 'list'
end

-- Takes what has expired off the front. Returns how many entries that was.
local function drop_expired(key)
    local expired = 0
    while true do
        local head = redis.call('LINDEX', key, 0)
        if not head or expiry(head) > now then return expired end
        redis.call('LPOP', key)
        expired = expired + 1
    end
end

-- Puts an entry at the end of a channel, whatever its capacity.
local function append(channel, length, entry, life)
    local key = base .. 'channel:' .. channel
    local keep = math.ceil(math.max(life, KEPT) / 1000) + LAST_RESORT
    -- Before the message: none may be where nobody looks. Also where others are before it, should
    -- somebody have taken the key away.
    local is_new = redis.call('ZADD', base .. 'ready', 'NX', now, channel) == 1
    redis.call('RPUSH', key, entry)
    if length == 0 then
        redis.call('PEXPIRE', key, keep)
    elseif life > KEPT or length % 16 == 0 then
        -- Not each time: upkeep looks besides.
        redis.call('PEXPIRE', key, keep, 'GT')
    end
    if is_new then keep_for(base .. 'ready', keep) end
    if is_new or length == 0 then wake(channel) end
end

-- Puts a message at the end of a channel. Returns "ok" or "full", and how many had expired.
local function push(channel, capacity, life, payload)
    local key = base .. 'channel:' .. channel
    local length = redis.call('LLEN', key)
    local expired = 0
    if length >= capacity then
        expired = drop_expired(key)
        length = length - expired
        if length >= capacity then return 'full', expired end
    end
    if redis.call('HEXISTS', base .. 'lasting', channel) == 1 then life = KEPT end
    append(channel, length, seal(0, life, payload), life)
    return 'ok', expired
end

-- A message that was taken comes again. It had room before.
local function push_again(leased)
    local length = redis.call('LLEN', base .. 'channel:' .. leased.channel)
    local attempt = math.min(string.byte(leased.entry, 2) + 1, 255)
    append(leased.channel, length, seal(attempt, KEPT, string.sub(leased.entry, HEADER + 1)), KEPT)
end

-- A message that cannot be done goes where such are. Returns whether there was room.
local function bury(leased)
    local payload = string.sub(leased.entry, HEADER + 1)
    return push(leased.channel .. '.dead', leased.dead_capacity, KEPT, payload) == 'ok'
end

-- Puts an entry into a node's inbox. Its first character is its kind: "m" and "a" have room of
-- their own each, "c" always fits. Returns "ok", "gone" or "full".
local function deliver(node, limit, entry)
    if not is_alive(node) then return 'gone' end
    local inbox, bytes = base .. 'inbox:' .. node, base .. 'bytes:' .. node
    local kind = string.sub(entry, 1, 1)
    if kind == 'c' then
        even_without_memory()
    else
        local held = redis.call('HINCRBY', bytes, kind, #entry)
        if held == #entry then redis.call('PEXPIRE', bytes, LAST_RESORT) end
        if held > limit then
            redis.call('HINCRBY', bytes, kind, -#entry)
            return 'full'
        end
    end
    if redis.call('RPUSH', inbox, entry) == 1 then redis.call('PEXPIRE', inbox, LAST_RESORT) end
    -- A node sees by it whether all that was taken from its inbox has arrived.
    local put = base .. 'put:' .. node
    if redis.call('INCR', put) == 1 then redis.call('PEXPIRE', put, LAST_RESORT) end
    return 'ok'
end

-- Counts what processes do, each at least once a second: in a store that is older than it was it is lower.
local function take_turn()
    local turn = redis.call('INCR', base .. 'turn')
    if turn == 1 then redis.call('PEXPIRE', base .. 'turn', LAST_RESORT) end
    return turn
end

-- A group without members leaves nothing.
local function forget_if_empty(group)
    if redis.call('HLEN', base .. 'group:' .. group) == 0 then
        redis.call('SREM', base .. 'groups', group)
    end
end

-- Whether a group holds the connections of a user.
local function is_of_user(group)
    return string.sub(group, 1, 6) == '_user.'
end

-- Registers a node as one with members of a group. Returns the count of its registrations.
local function join(node, group)
    local key = base .. 'group:' .. group
    local count = redis.call('HINCRBY', key, 'node ' .. node, 1)
    redis.call('SADD', base .. 'groups', group)
    redis.call('SADD', base .. 'registrations:' .. node, group)
    for _, name in ipairs({ 'group:' .. group, 'groups', 'registrations:' .. node }) do
        redis.call('PEXPIRE', base .. name, LAST_RESORT)
    end
    if is_of_user(group) then redis.call('PEXPIRE', base .. 'connections:' .. group, LAST_RESORT) end
    return count
end

-- The connections of a user, {channel, came} each. Those of nodes that are over are taken away.
local function connections_of(group)
    local key = base .. 'connections:' .. group
    local fields = redis.call('HGETALL', key)
    local found, alive = {}, {}
    for i = 1, #fields, 2 do
        local node = string.match(fields[i], '^([^!]+)!')
        if node and alive[node] == nil then alive[node] = is_alive(node) and true or false end
        if node and alive[node] then
            found[#found + 1] = { channel = fields[i], came = tonumber(fields[i + 1]) or 0 }
        else
            redis.call('HDEL', key, fields[i])
        end
    end
    return found
end

-- Takes away the connections of a user that a node had.
local function forget_connections(node, group)
    local key = base .. 'connections:' .. group
    for _, channel in ipairs(redis.call('HKEYS', key)) do
        if string.sub(channel, 1, #node + 1) == node .. '!' then redis.call('HDEL', key, channel) end
    end
end

-- The nodes and the named channels that are members of a group; what is over is swept.
local function members_of(group)
    local key = base .. 'group:' .. group
    local fields = redis.call('HGETALL', key)
    local nodes, channels, swept = {}, {}, false
    for i = 1, #fields, 2 do
        local kind, name = string.match(fields[i], '^(%a+) (.+)$')
        if kind == 'node' and is_alive(name) then
            nodes[#nodes + 1] = name
        elseif kind == 'channel' and (tonumber(fields[i + 1]) or 0) > now then
            channels[#channels + 1] = name
        else
            redis.call('HDEL', key, fields[i])
            swept = true
        end
    end
    if swept then forget_if_empty(group) end
    return nodes, channels
end

-- What it takes to keep a message of a group beside its content, and the bytes before the content: when it was
-- sent.
local REMEMBERED, SENT = 64, 8

-- Forgets the history of a group.
local function forget_history(module, group)
    redis.call('DEL', base .. 'history:' .. group, base .. 'position:' .. group)
    redis.call('ZREM', base .. 'remembered:' .. module, group)
    local key = base .. 'history:bytes:' .. module
    local held = tonumber(redis.call('HGET', key, group)) or 0
    redis.call('HDEL', key, group)
    if held > 0 and redis.call('HINCRBY', key, '', -held) <= 0 then redis.call('HDEL', key, '') end
end

-- Notes the bytes of a group's history among those of its module.
local function weigh(module, group, bytes)
    local key = base .. 'history:bytes:' .. module
    local held = tonumber(redis.call('HGET', key, group)) or 0
    if bytes ~= held then
        if bytes > 0 then redis.call('HSET', key, group, bytes) else redis.call('HDEL', key, group) end
        redis.call('HINCRBY', key, '', bytes - held)
    end
end

-- In `remembered:`, groups that nobody has sent to are so much before those that somebody has.
local UNSENT = 2 ^ 52

-- Forgets the history of a module's group that was sent to longest ago, but for one. False if there is none.
local function forget_oldest(module, but)
    for _, group in ipairs(redis.call('ZRANGE', base .. 'remembered:' .. module, 0, 1)) do
        if group ~= but then
            forget_history(module, group)
            return true
        end
    end
    return false
end

-- Forgets the messages of a module's group that was sent to longest ago, but for one, and keeps its place: who is up to date
-- misses nothing. False if there is none.
local function empty_oldest(module, but)
    local all = base .. 'remembered:' .. module
    for _, group in ipairs(redis.call('ZRANGEBYSCORE', all, 0, '+inf', 'LIMIT', 0, 2)) do
        if group ~= but then
            redis.call('DEL', base .. 'history:' .. group)
            redis.call('ZADD', all, now - UNSENT, group)
            weigh(module, group, 0)
            return true
        end
    end
    return false
end

-- The history of a group, without what is beyond its rule: {module, messages, age in microseconds, bytes, groups
-- of the module, bytes of them, a new epoch}. It begins anew where the store is another one than before. Returns
-- the epoch, the offset of the last message, messages and bytes that are kept.
local function open_history(group, rule)
    local module, list, place = rule.module, base .. 'history:' .. group, base .. 'position:' .. group
    local all, keep = base .. 'remembered:' .. module, math.ceil(rule.age / 1000) + LAST_RESORT
    -- What nobody has used for so long has no keys any more.
    local oldest = redis.call('ZRANGE', all, 0, 0)[1]
    if oldest and redis.call('EXISTS', base .. 'position:' .. oldest) == 0 then forget_history(module, oldest) end
    local store = redis.call('GET', base .. 'epoch') or ''
    local state = redis.call('HMGET', place, 'epoch', 'last', 'store')
    local epoch, last = state[1], tonumber(state[2])
    if not epoch or not last or state[3] ~= store then
        forget_history(module, group)
        epoch, last = rule.epoch, 0
        redis.call('HSET', place, 'epoch', epoch, 'last', 0, 'store', store)
    end
    local length = redis.call('LLEN', list)
    local bytes = length > 0 and tonumber(redis.call('HGET', base .. 'history:bytes:' .. module, group)) or 0
    while length > 0 do
        local head = redis.call('LINDEX', list, 0)
        local is_old = #head < SENT or struct.unpack('>I8', head) + rule.age <= now
        if not is_old and length <= rule.messages and bytes <= rule.bytes then break end
        redis.call('LPOP', list)
        length, bytes = length - 1, bytes - #head + SENT - REMEMBERED
    end
    redis.call('ZADD', all, 'NX', now - UNSENT, group)
    weigh(module, group, bytes)
    while redis.call('ZCARD', all) > rule.groups and forget_oldest(module, group) do end
    for _, key in ipairs({ list, place, all, base .. 'history:bytes:' .. module }) do keep_for(key, keep) end
    return epoch, last, length, bytes
end

-- The rule of a group as arguments have it, from one on.
local function rule_at(i)
    return {
        module = ARGV[i], messages = tonumber(ARGV[i + 1]), age = tonumber(ARGV[i + 2]),
        bytes = tonumber(ARGV[i + 3]), groups = tonumber(ARGV[i + 4]), all_bytes = tonumber(ARGV[i + 5]),
        epoch = ARGV[i + 6],
    }
end

-- A part of a history: behind a position, or the latest messages where that is not there. Returns {epoch, offset
-- before the first message, offset of the group's last message, whether nothing is missing, {content, ...}}.
local function page_of(group, rule, after_epoch, after_offset, latest, limit, limit_bytes)
    local epoch, last, length = open_history(group, rule)
    local list, floor = base .. 'history:' .. group, last - length
    if after_epoch == '*' then after_epoch, after_offset = epoch, floor end
    local is_there = after_epoch == epoch and after_offset >= floor and after_offset <= last
    local from, contents, bytes = after_offset, {}, 0
    if not is_there then
        -- From the end, as many as fit.
        from = last
        while last - from < latest and from > floor do
            local cost = #redis.call('LINDEX', list, from - floor - 1) - SENT + REMEMBERED
            if bytes + cost > limit_bytes then break end
            from, bytes = from - 1, bytes + cost
        end
    end
    bytes = 0
    local at, is_full = from - floor, false
    while not is_full and at < length and #contents < limit do
        for _, entry in ipairs(redis.call('LRANGE', list, at, at + 63)) do
            bytes = bytes + #entry - SENT + REMEMBERED
            is_full = #contents >= limit or (bytes > limit_bytes and #contents > 0)
            if is_full then break end
            contents[#contents + 1] = string.sub(entry, SENT + 1)
        end
        at = at + 64
    end
    local is_complete = (is_there or after_epoch == '') and 1 or 0
    return { epoch, from, last, is_complete, contents }
end

-- Ends all that a node has in this partition, some of it if there is very much. Returns whether
-- that was all.
local function forget_node(node)
    local key = base .. 'registrations:' .. node
    local groups = redis.call('SPOP', key, 1000)
    for _, group in ipairs(groups) do
        redis.call('HDEL', base .. 'group:' .. group, 'node ' .. node)
        forget_if_empty(group)
        if is_of_user(group) then forget_connections(node, group) end
    end
    if #groups == 1000 then return false end
    redis.call('DEL', key, base .. 'inbox:' .. node, base .. 'bytes:' .. node, base .. 'put:' .. node)
    redis.call('HDEL', base .. 'sockets', node)
    redis.call('HDEL', base .. 'since', node)
    redis.call('ZREM', base .. 'nodes', node)
    -- Its connections are present in groups no longer.
    redis.call('ZADD', base .. 'presence', 'XX', now, '@' .. node)
    return true
end
