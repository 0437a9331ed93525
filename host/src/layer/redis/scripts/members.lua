-- ARGV: group. Returns {nodes, channels}; what is over is swept.
local group = ARGV[1]
local key = base .. 'group:' .. group
local fields = redis.call('HGETALL', key)
local nodes, channels, swept = {}, {}, false
for i = 1, #fields, 2 do
    local kind, name = string.match(fields[i], '^(%a+) (.+)$')
    if kind == 'node' and is_alive(name) then
        nodes[#nodes + 1] = name
    elseif kind == 'channel' and (tonumber(fields[i + 1]) or 0) > now then
        channels[#channels + 1] = name
    else
        redis.call('HDEL', key, fields[i])
        swept = true
    end
end
if swept then forget_if_empty(group) end
return { nodes, channels }
