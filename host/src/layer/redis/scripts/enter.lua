-- A connection of a user comes. ARGV: node, the user's group, the reply channel of the connection, how many
-- there may be or 0 for any number, "refuse" or "close_oldest".
-- Returns {count as of `join`, or -1 if nobody knows the node, or -2 if there are as many as there may be;
-- connections of the user; {the oldest ones, which do not count any more}}.
local node, group, channel = ARGV[1], ARGV[2], ARGV[3]
local most, beyond = tonumber(ARGV[4]), ARGV[5]
if not is_alive(node) then return { -1, 0, {} } end
local key = base .. 'connections:' .. group
local displaced = {}
if most > 0 then
    local came = connections_of(group)
    local too_many = #came + 1 - most
    if redis.call('HEXISTS', key, channel) == 1 then too_many = 0 end
    if too_many > 0 and beyond == 'refuse' then return { -2, #came, {} } end
    if too_many > 0 then
        table.sort(came, function(a, b)
            if a.came ~= b.came then return a.came < b.came end
            return a.channel < b.channel
        end)
        for i = 1, too_many do
            displaced[i] = came[i].channel
            redis.call('HDEL', key, came[i].channel)
        end
    end
end
if redis.call('HEXISTS', key, channel) == 0 then
    redis.call('HSET', key, channel, string.format('%.0f', now))
end
return { join(node, group), redis.call('HLEN', key), displaced }
