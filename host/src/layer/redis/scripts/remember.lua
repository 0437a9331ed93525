-- Stores and numbers a message to a group that is remembered, and finds who gets it. ARGV: group, content, then
-- the rule: module, messages, age in microseconds, bytes, groups of the module, bytes of them, a new epoch. Returns
-- {nodes, channels, epoch, offset}.
local group, content, rule = ARGV[1], ARGV[2], rule_at(3)
local nodes, channels = members_of(group)
local epoch, last, _, bytes = open_history(group, rule)
last = redis.call('HINCRBY', base .. 'position:' .. group, 'last', 1)
redis.call('RPUSH', base .. 'history:' .. group, struct.pack('>I8', now) .. content)
redis.call('ZADD', base .. 'remembered:' .. rule.module, now, group)
weigh(rule.module, group, bytes + #content + REMEMBERED)
open_history(group, rule)
local key = base .. 'history:bytes:' .. rule.module
while (tonumber(redis.call('HGET', key, '')) or 0) > rule.all_bytes do
    if not empty_oldest(rule.module, group) then break end
end
return { nodes, channels, epoch, last }
