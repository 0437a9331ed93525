-- ARGV: module, moment and place of a timer, or empty texts, how many at most. Returns timers behind that one,
-- each as moment, place with key, and parcel without its payload.
local module, from = ARGV[1], 0
if ARGV[2] ~= '' then
    local due = tonumber(ARGV[2])
    local number, at = struct.unpack('>I8I4', ARGV[3])
    local function is_behind(member, moment)
        if moment ~= due then return moment > due end
        local own_number, own_at = struct.unpack('>I8I4', member)
        if own_number ~= number then return own_number > number end
        return own_at > at
    end
    local to = redis.call('ZCARD', timers_of(module))
    while from < to do
        local middle = math.floor((from + to) / 2)
        local found = redis.call('ZRANGE', timers_of(module), middle, middle, 'WITHSCORES')
        if is_behind(found[1], tonumber(found[2])) then to = middle else from = middle + 1 end
    end
end
if ARGV[4] == '0' then return {} end
local found = redis.call('ZRANGE', timers_of(module), from, from + ARGV[4] - 1, 'WITHSCORES')
local answer = {}
for i = 1, #found, 2 do
    local timer = redis.call('HGET', timed_of(module), timed_row(found[i])) or ''
    local target_bytes = #timer > PLACE + 2 and struct.unpack('>I2', timer, PLACE + 1) or 0
    answer[#answer + 1] = digits(found[i + 1])
    answer[#answer + 1] = found[i]
    answer[#answer + 1] = string.sub(timer, PLACE + 1, PLACE + 2 + target_bytes)
end
return answer
