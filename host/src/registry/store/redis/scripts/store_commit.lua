-- Puts a manifest in the place of the one whose revision is one less. ARGV: module, revision,
-- manifest, digest and content of a new file (or two empty texts), digests that are needed. Returns
-- 1, or 0 if somebody else was first.
local module, files = ARGV[1], base .. 'files:' .. ARGV[1]
local stored = redis.call('HGET', base .. 'modules', module)
if stored then
    local readable, before = pcall(cjson.decode, stored)
    -- Nobody was first with what cannot be read. One that was deleted and made again is another one.
    if readable and type(before) == 'table' and type(before.revision) == 'number' then
        local is_next = before.revision == tonumber(ARGV[2]) - 1
        if not is_next or before.id ~= cjson.decode(ARGV[3]).id then return 0 end
    end
elseif ARGV[2] ~= '1' then
    return 0
end
if ARGV[4] ~= '' then redis.call('HSET', files, ARGV[4], ARGV[5]) end
redis.call('HSET', base .. 'modules', module, ARGV[3])
local needed = {}
for i = 6, #ARGV do needed[ARGV[i]] = true end
for _, digest in ipairs(redis.call('HKEYS', files)) do
    if not needed[digest] then redis.call('HDEL', files, digest) end
end
redis.call('INCR', base .. 'changes')
return 1
