-- ARGV: module, export. Copies its values as they are now. Returns the clock, and how many there are.
local copy = base .. 'store:export:' .. ARGV[2]
redis.call('COPY', values_of(ARGV[1]), copy)
redis.call('PEXPIRE', copy, EXPORT_KEPT)
return { digits(now), digits(redis.call('HLEN', copy)) }
