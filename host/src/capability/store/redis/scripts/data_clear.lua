-- ARGV: module. Forgets everything of it but the count of its commits.
local module = ARGV[1]
redis.call('UNLINK', values_of(module), index_of(module), expiry_of(module), done_of(module),
    waiting_of(module), timers_of(module), timed_of(module))
redis.call('ZREM', base .. 'store:due', module)
redis.call('ZREM', base .. 'store:alarms', module)
if redis.call('EXISTS', usage_of(module)) == 1 then
    redis.call('HSET', usage_of(module), 'bytes', 0, 'keys', 0, 'relayed', 0, 'timers', 0)
end
return 1
