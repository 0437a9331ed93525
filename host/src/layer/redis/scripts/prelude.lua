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
