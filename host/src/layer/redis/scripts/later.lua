-- ARGV: id, delay, messages that may wait, target kind ("channel" or "node"), target, limit (of the
-- channel or of the inbox), life (both times in microseconds), payload. Returns whether it was taken.
local queue, kept = base .. 'later', base .. 'later:messages'
if redis.call('ZCARD', queue) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', queue, now + tonumber(ARGV[2]), ARGV[1])
redis.call('HSET', kept, ARGV[1], cmsgpack.pack({
    due = now + tonumber(ARGV[2]), kind = ARGV[4], target = ARGV[5],
    limit = tonumber(ARGV[6]), life = tonumber(ARGV[7]), payload = ARGV[8],
}))
local keep = math.ceil((ARGV[2] + ARGV[7]) / 1000) + LAST_RESORT
keep_for(queue, keep)
keep_for(kept, keep)
return 1
