-- A part of the members of a group, in the order of their keys. ARGV: group, the last key of the part before or an
-- empty text, how many. Returns {version, members of the group, {member, facts, ...}}.
local group = ARGV[1]
local members = base .. 'presence:members:' .. group
local from = ARGV[2] == '' and '-' or '(' .. ARGV[2]
local names, found = {}, {}
if ARGV[3] ~= '0' then names = redis.call('ZRANGEBYLEX', members, from, '+', 'LIMIT', 0, tonumber(ARGV[3])) end
if #names > 0 then
    local facts = redis.call('HMGET', base .. 'presence:facts:' .. group, unpack(names))
    for i, name in ipairs(names) do
        found[#found + 1] = name
        found[#found + 1] = facts[i] or ''
    end
end
local version = tonumber(redis.call('HGET', base .. 'presence:group:' .. group, 'version')) or 0
return { version, redis.call('ZCARD', members), found }
