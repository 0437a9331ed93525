-- A connection joins: its node has members. ARGV: node, group. Returns the count that the join
-- entry carries, or -1 if nobody knows the node.
local node, group = ARGV[1], ARGV[2]
if not is_alive(node) then return -1 end
local key = base .. 'group:' .. group
local count = redis.call('HINCRBY', key, 'node ' .. node, 1)
redis.call('PEXPIRE', key, LAST_RESORT)
redis.call('SADD', base .. 'groups', group)
redis.call('PEXPIRE', base .. 'groups', LAST_RESORT)
redis.call('SADD', base .. 'registrations:' .. node, group)
redis.call('PEXPIRE', base .. 'registrations:' .. node, LAST_RESORT)
return count
