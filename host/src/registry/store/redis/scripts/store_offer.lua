-- Offers a file of a module to processes, which prepare it before a version of it becomes active. ARGV:
-- module, digest, content (nothing: it is taken back), time to live in microseconds. Returns 1.
local offered = base .. 'offered:' .. ARGV[1]
if ARGV[3] == '' then
    redis.call('HDEL', offered, ARGV[2])
else
    redis.call('HSET', offered, ARGV[2], ARGV[3])
    redis.call('PEXPIRE', offered, math.ceil(tonumber(ARGV[4]) / 1000))
end
return 1
