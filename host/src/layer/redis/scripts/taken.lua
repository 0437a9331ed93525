-- Entries were read from an inbox. ARGV: node, bytes of kind "m", bytes of kind "a".
even_without_memory()
local bytes = base .. 'bytes:' .. ARGV[1]
if redis.call('EXISTS', base .. 'inbox:' .. ARGV[1]) == 0 then
    -- Nothing is left, so nothing counts: whatever was not told of before is forgotten.
    redis.call('DEL', bytes)
    return 1
end
for i, kind in ipairs({ 'm', 'a' }) do
    local read = tonumber(ARGV[i + 1])
    -- Below zero only if the store was emptied meanwhile.
    if read > 0 and redis.call('HINCRBY', bytes, kind, -read) < 0 then
        redis.call('HSET', bytes, kind, 0)
    end
end
return 1
