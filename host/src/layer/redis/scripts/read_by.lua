-- Says which channels a reader reads. ARGV: reader, lease in microseconds, then channels and the
-- modules they belong to.
even_without_memory()
local reader, lease = ARGV[1], tonumber(ARGV[2])
local key = base .. 'reader:' .. reader
for i = 3, #ARGV, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
if redis.call('EXISTS', key) == 0 then return 0 end
redis.call('PEXPIRE', key, math.ceil(lease / 1000))
redis.call('HSET', base .. 'readers', reader, string.format('%.0f', now + lease))
redis.call('PEXPIRE', base .. 'readers', LAST_RESORT)
hint(reader)
return 1
