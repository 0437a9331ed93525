-- ARGV: groups that have members. Returns for each its epoch, empty if it is not remembered, and the offset of its last
-- message. A place that members stand at is kept, however long nobody sends.
local positions, store = {}, redis.call('GET', base .. 'epoch') or ''
for _, group in ipairs(ARGV) do
    local key = base .. 'position:' .. group
    local place = redis.call('HMGET', key, 'epoch', 'last', 'store')
    local is_here = place[1] and place[3] == store
    if is_here then keep_for(key, LAST_RESORT) end
    positions[#positions + 1] = is_here and place[1] or ''
    positions[#positions + 1] = is_here and tonumber(place[2]) or 0
end
return positions
