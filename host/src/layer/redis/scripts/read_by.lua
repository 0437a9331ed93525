-- Says which channels a reader reads. ARGV: reader, lease in microseconds, then channels and the
-- modules they belong to; behind the module of a channel that delivers at least once, retries, lease
-- in microseconds, and the capacity of its dead-letter channel.
even_without_memory()
local reader, lease = ARGV[1], tonumber(ARGV[2])
local key = base .. 'reader:' .. reader
for i = 3, #ARGV, 2 do
    redis.call('HSET', key, ARGV[i], ARGV[i + 1])
    if string.find(ARGV[i + 1], ' ', 1, true) then
        redis.call('HSET', base .. 'lasting', ARGV[i], ARGV[i + 1])
        redis.call('PEXPIRE', base .. 'lasting', LAST_RESORT)
    else
        redis.call('HDEL', base .. 'lasting', ARGV[i])
    end
end
if redis.call('EXISTS', key) == 0 then return 0 end
redis.call('PEXPIRE', key, math.ceil(lease / 1000))
redis.call('HSET', base .. 'readers', reader, string.format('%.0f', now + lease))
redis.call('PEXPIRE', base .. 'readers', LAST_RESORT)
hint(reader)
return 1
