-- Puts a manifest in the place of the one whose revision is one less. ARGV: module, revision,
-- manifest, digest and content of a new file (or two empty texts), digests that are needed. Returns
-- 1, or 0 if somebody else was first.
local module, files = ARGV[1], base .. 'files:' .. ARGV[1]
local stored = redis.call('HGET', base .. 'modules', module)
local before = stored and cjson.decode(stored).revision or 0
if before + 1 ~= tonumber(ARGV[2]) then return 0 end
if ARGV[4] ~= '' then redis.call('HSET', files, ARGV[4], ARGV[5]) end
redis.call('HSET', base .. 'modules', module, ARGV[3])
local needed = {}
for i = 6, #ARGV do needed[ARGV[i]] = true end
for _, digest in ipairs(redis.call('HKEYS', files)) do
    if not needed[digest] then redis.call('HDEL', files, digest) end
end
redis.call('INCR', base .. 'changes')
return 1
