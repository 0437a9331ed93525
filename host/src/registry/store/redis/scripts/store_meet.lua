-- A process says what it has in force, and hears of the others. ARGV: process, what it says (nothing:
-- it leaves), lease in microseconds, an id for a store that has none. Returns {id, changes, {what
-- each says}}.
local leases, reports = base .. 'reporting', base .. 'reports'
if ARGV[2] == '' then
    redis.call('ZREM', leases, ARGV[1])
    redis.call('HDEL', reports, ARGV[1])
else
    redis.call('ZADD', leases, now + tonumber(ARGV[3]), ARGV[1])
    redis.call('HSET', reports, ARGV[1], ARGV[2])
end
for _, process in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now)) do
    redis.call('ZREM', leases, process)
    redis.call('HDEL', reports, process)
end
redis.call('PEXPIRE', leases, LAST_RESORT)
redis.call('PEXPIRE', reports, LAST_RESORT)
-- Without a time to live, as the modules are: they go together.
redis.call('SET', base .. 'store', ARGV[4], 'NX')
return {
    redis.call('GET', base .. 'store'),
    tonumber(redis.call('GET', base .. 'changes') or 0),
    redis.call('HVALS', reports),
}
