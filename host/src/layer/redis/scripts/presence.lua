-- Who is in a group, by member. ARGV: what to do, and then
-- "tell": node, a number that grows with each call of the node, members that a group holds, then for each
--   connection that is present now group, its local name, member, facts, rule; of one that is not any more the last
--   three are empty. Returns for each "new", "again", "full" or "left", the first two with the most members of a
--   list where clients are told; nothing if the node is not alive, or the call is older than one before.
-- "due": Returns {microseconds until the next announcement or end of a member or -1, {{group, version before,
--   version, version of the list, rule, "difference", "count", "list" or "", members, {member, facts, ...} that
--   joined, the same of those that changed, {member, ...} that left, {member, facts, ...} that there are,
--   {member, ...} that came and left}, ...}}.
-- "done": group, version that was announced, 1 if a client may have missed it. Returns 1.
local queue = base .. 'presence'
-- How long a process has for an announcement before another one makes it, in microseconds.
local ANNOUNCING = 10000000
local CHANGES_MAX, CONNECTIONS_MAX = 1000, 100

local KINDS = { 'presence:group:', 'presence:members:', 'presence:facts:', 'presence:connections:',
    'presence:by:', 'presence:leaving:', 'presence:changed:', 'presence:taken:' }
local GROUP, MEMBERS, FACTS = base .. 'presence:group:', base .. 'presence:members:', base .. 'presence:facts:'
local CONNECTIONS, BY = base .. 'presence:connections:', base .. 'presence:by:'
local LEAVING, CHANGED = base .. 'presence:leaving:', base .. 'presence:changed:'
local TAKEN, NODE = base .. 'presence:taken:', base .. 'presence:node:'
local seen = base .. 'presence:seen'

-- The groups that this call has looked at.
local loaded = {}

local function rule_of(packed)
    local ok, rule = pcall(cmsgpack.unpack, packed)
    if not ok or type(rule) ~= 'table' then rule = {} end
    return {
        leave = tonumber(rule.leave_after) or 0, interval = tonumber(rule.interval) or 0,
        listed = tonumber(rule.listed) or 0, clients = rule.clients == true, stand_in = rule.stand_in == true,
        tells = rule.clients == true or (type(rule.channels) == 'table' and #rule.channels > 0),
    }
end

local function state(group)
    local it = loaded[group]
    if it then return it end
    local kept = redis.call('HMGET', GROUP .. group, 'version', 'announced', 'rule', 'last', 'at',
        'counts', 'again', 'taken', 'till')
    -- The time to begin with: a group that comes back goes on with a higher version.
    local version = tonumber(kept[1]) or now
    it = { group = group, version = version, announced = tonumber(kept[2]) or version,
        packed = kept[3] or '', rule = rule_of(kept[3] or ''), last = tonumber(kept[4]) or 0,
        at = tonumber(kept[5]), counts = kept[6] == '1', again = kept[7] == '1',
        taken = tonumber(kept[8]), till = tonumber(kept[9]) or 0 }
    loaded[group] = it
    return it
end

local function number(value)
    return value and string.format('%.0f', value) or ''
end

local function save(it)
    local group = it.group
    if redis.call('ZCARD', MEMBERS .. group) == 0 and redis.call('EXISTS', CHANGED .. group) == 0 and not it.taken then
        for _, kind in ipairs(KINDS) do redis.call('DEL', base .. kind .. group) end
        redis.call('ZREM', queue, group)
        return
    end
    redis.call('HSET', GROUP .. group, 'version', number(it.version), 'announced', number(it.announced),
        'rule', it.packed, 'last', number(it.last), 'at', number(it.at), 'counts', it.counts and '1' or '0',
        'again', it.again and '1' or '0', 'taken', number(it.taken), 'till', number(it.till))
    for _, kind in ipairs(KINDS) do redis.call('PEXPIRE', base .. kind .. group, LAST_RESORT) end
    local due = it.taken and it.till or it.at
    local first = tonumber(redis.call('ZRANGE', LEAVING .. group, 0, 0, 'WITHSCORES')[2])
    if first and (not due or first < due) then due = first end
    if due then
        redis.call('ZADD', queue, number(due), group)
        redis.call('PEXPIRE', queue, LAST_RESORT)
    else
        redis.call('ZREM', queue, group)
    end
end

-- Notes a change of a member, and whether it was there before the first change that was not announced.
local function touch(it, member, was)
    it.version = it.version + 1
    if not it.rule.tells then
        it.announced = it.version
        return
    end
    if redis.call('HEXISTS', CHANGED .. it.group, member) == 0 then
        redis.call('HSET', CHANGED .. it.group, member, was)
    end
    if not it.at then it.at = math.max(now, it.last + it.rule.interval) end
end

local function remove(it, member)
    redis.call('ZREM', MEMBERS .. it.group, member)
    redis.call('ZREM', LEAVING .. it.group, member)
    redis.call('HDEL', FACTS .. it.group, member)
    touch(it, member, '1')
end

local function show(it, member, facts)
    if redis.call('HGET', FACTS .. it.group, member) == facts then return end
    redis.call('HSET', FACTS .. it.group, member, facts)
    touch(it, member, '1')
end

-- The connections of a member, the newest last, without one of them.
local function others(it, member, connection)
    local packed, found = redis.call('HGET', BY .. it.group, member), {}
    for _, other in ipairs(packed and cmsgpack.unpack(packed) or {}) do
        if other ~= connection then found[#found + 1] = other end
    end
    return found
end

local function leave(it, node, name)
    local group, connection = it.group, node .. '!' .. name
    redis.call('SREM', NODE .. node, group .. ' ' .. name)
    local entry = redis.call('HGET', CONNECTIONS .. group, connection)
    if not entry then return end
    redis.call('HDEL', CONNECTIONS .. group, connection)
    local member = cmsgpack.unpack(entry)[1]
    local left = others(it, member, connection)
    if #left > 0 then
        redis.call('HSET', BY .. group, member, cmsgpack.pack(left))
        local newest = redis.call('HGET', CONNECTIONS .. group, left[#left])
        if newest then show(it, member, cmsgpack.unpack(newest)[2]) end
        return
    end
    redis.call('HDEL', BY .. group, member)
    if it.rule.leave > 0 then
        redis.call('ZADD', LEAVING .. group, number(now + it.rule.leave), member)
    else
        remove(it, member)
    end
end

local function join(it, node, name, member, facts, packed, members_max)
    local group, connection = it.group, node .. '!' .. name
    local rule = rule_of(packed)
    -- A module that is in a group of another one leaves its rule as it is.
    if it.packed == '' or not rule.stand_in then it.packed, it.rule = packed, rule end
    local before = redis.call('HGET', CONNECTIONS .. group, connection)
    if before and cmsgpack.unpack(before)[1] ~= member then
        leave(it, node, name)
        before = false
    end
    local is_member = redis.call('ZSCORE', MEMBERS .. group, member)
    if not is_member and redis.call('ZCARD', MEMBERS .. group) >= members_max then return 'full' end
    local by = others(it, member, connection)
    if #by >= CONNECTIONS_MAX then return 'full' end
    by[#by + 1] = connection
    redis.call('HSET', BY .. group, member, cmsgpack.pack(by))
    redis.call('HSET', CONNECTIONS .. group, connection, cmsgpack.pack({ member, facts }))
    redis.call('SADD', NODE .. node, group .. ' ' .. name)
    redis.call('ZREM', LEAVING .. group, member)
    if is_member then
        show(it, member, facts)
    else
        redis.call('ZADD', MEMBERS .. group, 0, member)
        redis.call('HSET', FACTS .. group, member, facts)
        touch(it, member, '0')
        -- Whoever joins now gets a count, and a list once there may be one.
        if it.rule.clients and redis.call('ZCARD', MEMBERS .. group) > it.rule.listed then it.counts = true end
    end
    local outcome = before and 'again' or 'new'
    return it.rule.clients and outcome .. ' ' .. number(it.rule.listed) or outcome
end

local function tell(node, call, members_max)
    if not is_alive(node) or call <= (tonumber(redis.call('HGET', seen, node)) or 0) then return {} end
    redis.call('HSET', seen, node, number(call))
    redis.call('PEXPIRE', seen, LAST_RESORT)
    local outcomes = {}
    for i = 5, #ARGV, 5 do
        local it, name, member = state(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
        if member == '' then
            leave(it, node, name)
            outcomes[#outcomes + 1] = 'left'
        else
            outcomes[#outcomes + 1] = join(it, node, name, member, ARGV[i + 3], ARGV[i + 4], members_max)
        end
    end
    -- Looked at when its lease is over, whoever notices that.
    redis.call('PEXPIRE', NODE .. node, LAST_RESORT)
    redis.call('ZADD', queue, 'NX', redis.call('ZSCORE', base .. 'nodes', node), '@' .. node)
    redis.call('PEXPIRE', queue, LAST_RESORT)
    return outcomes
end

-- The connections of a node that is not alive leave, some of them if there are many.
local function sweep(node)
    local lease = is_alive(node) and redis.call('ZSCORE', base .. 'nodes', node)
    if lease then
        redis.call('ZADD', queue, lease, '@' .. node)
        return
    end
    local entries = redis.call('SPOP', NODE .. node, 500)
    for _, entry in ipairs(entries) do
        local group, name = string.match(entry, '^(%S+) (%S+)$')
        if group then leave(state(group), node, name) end
    end
    if #entries < 500 then
        redis.call('ZREM', queue, '@' .. node)
        redis.call('HDEL', seen, node)
    end
end

-- Takes changes out of those that are not announced. Returns them, and whether there are more.
local function take_changes(group)
    local taken, cursor = {}, '0'
    repeat
        local part = redis.call('HSCAN', CHANGED .. group, cursor, 'COUNT', CHANGES_MAX)
        cursor = part[1]
        for i = 1, #part[2], 2 do taken[part[2][i]] = part[2][i + 1] end
        for i = 1, #part[2], 2 do redis.call('HDEL', CHANGED .. group, part[2][i]) end
    until cursor == '0' or next(taken)
    return taken, redis.call('EXISTS', CHANGED .. group) == 1
end

local function listed(group, most)
    local names, found = redis.call('ZRANGE', MEMBERS .. group, 0, most - 1), {}
    if #names == 0 then return found end
    local facts = redis.call('HMGET', FACTS .. group, unpack(names))
    for i, name in ipairs(names) do
        found[#found + 1] = name
        found[#found + 1] = facts[i] or ''
    end
    return found
end

local function announcement(it)
    local group, rule = it.group, it.rule
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', LEAVING .. group, '-inf', now, 'LIMIT', 0, CHANGES_MAX)) do
        remove(it, member)
    end
    if it.taken then
        if it.till > now then return nil end
        -- Nobody said that it was announced, so it may not have been.
        local lost = redis.call('HGETALL', TAKEN .. group)
        for i = 1, #lost, 2 do redis.call('HSET', CHANGED .. group, lost[i], lost[i + 1]) end
        redis.call('DEL', TAKEN .. group)
        it.taken, it.again, it.at = nil, true, now
    end
    if not it.at or it.at > now then return nil end
    it.at = nil
    local changes, has_more = take_changes(group)
    local joined, updated, left, passed, how_many = {}, {}, {}, {}, 0
    for member, was in pairs(changes) do
        how_many = how_many + 1
        local facts = redis.call('HGET', FACTS .. group, member)
        if facts then
            local into = was == '1' and updated or joined
            into[#into + 1] = member
            into[#into + 1] = facts
        elseif was == '1' then
            left[#left + 1] = member
        else
            -- Whoever got a list meanwhile may have it.
            passed[#passed + 1] = member
        end
    end
    local has_changes = #joined + #updated + #left > 0
    local count, told, list = redis.call('ZCARD', MEMBERS .. group), '', {}
    if rule.clients then
        if count > rule.listed then
            if #joined + #left > 0 or it.again or not it.counts then told = 'count' end
            it.counts = true
        elseif it.counts or it.again or has_more then
            told, list, it.counts = 'list', listed(group, rule.listed), false
        elseif has_changes or #passed > 0 then
            told = 'difference'
        end
    end
    it.again = has_more
    if told == '' and not has_changes then return nil end
    local version = has_more and math.min(it.version, it.announced + how_many) or it.version
    for member, was in pairs(changes) do redis.call('HSET', TAKEN .. group, member, was) end
    it.taken, it.till, it.last = version, now + ANNOUNCING, now
    if has_more then it.at = now + rule.interval end
    return { group, it.announced, version, it.version, it.packed, told, count, joined, updated, left, list,
        passed }
end

local function due()
    local changes = {}
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, 20)) do
        if string.sub(name, 1, 1) == '@' then
            sweep(string.sub(name, 2))
        else
            changes[#changes + 1] = announcement(state(name))
        end
    end
    return changes
end

local function done(group, version, is_missed)
    local it = state(group)
    if it.taken ~= version then return end
    redis.call('DEL', TAKEN .. group)
    it.taken, it.announced = nil, math.max(it.announced, version)
    it.again = it.again or is_missed
    if it.again and not it.at then it.at = now + it.rule.interval end
end

local answer = 1
if ARGV[1] == 'tell' then
    answer = tell(ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]))
elseif ARGV[1] == 'due' then
    even_without_memory()
    answer = due()
else
    even_without_memory()
    done(ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1')
end
for _, it in pairs(loaded) do save(it) end
if ARGV[1] ~= 'due' then return answer end
local first = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')[2]
return { first and math.max(0, tonumber(first) - now) or -1, answer }
