-- ARGV: group, channel.
redis.call('HDEL', base .. 'group:' .. ARGV[1], 'channel ' .. ARGV[2])
forget_if_empty(ARGV[1])
return 1
