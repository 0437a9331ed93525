-- A node has no members any more, unless somebody joined since. ARGV: node, then groups and the last
-- count that the node has read for each.
local node = ARGV[1]
for i = 2, #ARGV, 2 do
    local group = ARGV[i]
    local key = base .. 'group:' .. group
    if redis.call('HGET', key, 'node ' .. node) == ARGV[i + 1] then
        redis.call('HDEL', key, 'node ' .. node)
        redis.call('SREM', base .. 'registrations:' .. node, group)
        forget_if_empty(group)
    end
end
return 1
