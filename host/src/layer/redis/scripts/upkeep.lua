-- ARGV: layout, lease in microseconds, a new epoch, nodes of this process. Returns {layout, epoch,
-- {nodes that were unknown}, expired}. Where the layout is another one nothing else is done.
even_without_memory()
redis.call('SET', base .. 'layout', ARGV[1], 'NX')
local layout = redis.call('GET', base .. 'layout')
if layout ~= ARGV[1] then return { layout, '', {}, 0 } end
redis.call('PEXPIRE', base .. 'layout', LAST_RESORT)
local lease, unknown = tonumber(ARGV[2]), {}
redis.call('SET', base .. 'epoch', ARGV[3], 'NX', 'PX', LAST_RESORT)
redis.call('PEXPIRE', base .. 'epoch', LAST_RESORT)
for i = 4, #ARGV do
    local node = ARGV[i]
    if not is_alive(node) then unknown[#unknown + 1] = node end
    redis.call('ZADD', base .. 'nodes', now + lease, node)
    for _, key in ipairs({ 'inbox:', 'bytes:', 'registrations:' }) do
        redis.call('PEXPIRE', base .. key .. node, LAST_RESORT)
    end
end
for _, key in ipairs({ 'nodes', 'groups', 'ready' }) do keep_for(base .. key, LAST_RESORT) end
for _, node in ipairs(redis.call('ZRANGEBYSCORE', base .. 'nodes', '-inf', now, 'LIMIT', 0, 10)) do
    if not forget_node(node) then break end
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
return { layout, redis.call('GET', base .. 'epoch'), unknown, expired }
