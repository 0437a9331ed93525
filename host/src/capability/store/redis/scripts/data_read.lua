-- ARGV: module, clock of the run or an empty text, keys. Returns the clock and for each key its entry, expired
-- or not, or an empty text.
local clock = ARGV[2] ~= '' and ARGV[2] or digits(now)
local answer = { clock }
for from = 3, #ARGV, CHUNK do
    local to = math.min(from + CHUNK - 1, #ARGV)
    for _, entry in ipairs(redis.call('HMGET', values_of(ARGV[1]), unpack(ARGV, from, to))) do
        answer[#answer + 1] = entry or ''
    end
end
return answer
