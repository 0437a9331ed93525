-- ARGV: layout, lease in microseconds, a new epoch, nodes of this process, each alone or as "NODE SOCKETS".
-- Returns {layout, epoch, {nodes that were unknown}, expired}. Where the layout is another one nothing else
-- is done. Whoever gives "#TURN EPOCH", the highest turn that it has seen and the epoch then, gets more:
-- {..., turn, whether the store is older than it was, {node whose lease has ended, its sockets, ...},
-- {node, the turn at which it was last unknown, ...}}: an answer that is lost hides no lease that ended.
even_without_memory()
redis.call('SET', base .. 'layout', ARGV[1], 'NX')
local layout = redis.call('GET', base .. 'layout')
local asks_for_more = string.sub(ARGV[4] or '', 1, 1) == '#'
if layout ~= ARGV[1] then
    if asks_for_more then return { layout, '', {}, 0, 0, 0, {}, {} } end
    return { layout, '', {}, 0 }
end
redis.call('PEXPIRE', base .. 'layout', LAST_RESORT)
local lease, unknown, since = tonumber(ARGV[2]), {}, {}
redis.call('SET', base .. 'epoch', ARGV[3], 'NX', 'PX', LAST_RESORT)
local turn, went_back = take_turn(), 0
for i = 4, #ARGV do
    local seen, epoch = string.match(ARGV[i], '^#(%d+) ?(.*)$')
    local node, sockets = string.match(ARGV[i], '^(%S+) ?(%d*)$')
    if seen then
        if turn <= tonumber(seen) then
            turn = tonumber(seen) + 1
            redis.call('SET', base .. 'turn', string.format('%.0f', turn))
            -- All others see it by the epoch. Where that is another one already it was emptied, or somebody
            -- has seen it before.
            if redis.call('GET', base .. 'epoch') == epoch then
                redis.call('SET', base .. 'epoch', ARGV[3])
                went_back = 1
            end
        end
    elseif node then
        if not is_alive(node) then
            unknown[#unknown + 1] = node
            redis.call('HSET', base .. 'since', node, string.format('%.0f', turn))
        end
        since[#since + 1] = node
        since[#since + 1] = tonumber(redis.call('HGET', base .. 'since', node)) or 0
        redis.call('ZADD', base .. 'nodes', now + lease, node)
        if sockets ~= '' then redis.call('HSET', base .. 'sockets', node, sockets) end
        for _, key in ipairs({ 'inbox:', 'bytes:', 'put:', 'registrations:' }) do
            redis.call('PEXPIRE', base .. key .. node, LAST_RESORT)
        end
    end
end
for _, key in ipairs({ 'epoch', 'turn', 'sockets', 'since' }) do redis.call('PEXPIRE', base .. key, LAST_RESORT) end
for _, key in ipairs({ 'nodes', 'groups', 'ready' }) do keep_for(base .. key, LAST_RESORT) end
local ended = {}
for _, node in ipairs(redis.call('ZRANGEBYSCORE', base .. 'nodes', '-inf', now, 'LIMIT', 0, 10)) do
    local sockets = redis.call('HGET', base .. 'sockets', node)
    if not forget_node(node) then break end
    if sockets then
        ended[#ended + 1] = node
        ended[#ended + 1] = tonumber(sockets) or 0
    end
end
-- Channels that nobody reads must not keep what has expired; the ones served longest ago come first.
local expired = 0
for _, channel in ipairs(redis.call('ZRANGE', base .. 'ready', 0, 63)) do
    local key = base .. 'channel:' .. channel
    if is_list(key) then expired = expired + drop_expired(key) end
    if is_list(key) then
        keep_for(key, LAST_RESORT)
    else
        redis.call('ZREM', base .. 'ready', channel)
    end
end
local epoch = redis.call('GET', base .. 'epoch')
if asks_for_more then return { layout, epoch, unknown, expired, turn, went_back, ended, since } end
return { layout, epoch, unknown, expired }
