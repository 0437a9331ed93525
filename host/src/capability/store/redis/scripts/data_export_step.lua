-- ARGV: export, cursor. Returns the next cursor, and keys with their entries; nothing if the copy is gone. At
-- the end the copy is dropped.
local copy = base .. 'store:export:' .. ARGV[1]
if redis.call('PEXPIRE', copy, EXPORT_KEPT) == 0 then return {} end
local scanned = redis.call('HSCAN', copy, ARGV[2], 'COUNT', CHUNK)
if scanned[1] == '0' then redis.call('UNLINK', copy) end
local answer = { scanned[1] }
for _, text in ipairs(scanned[2]) do answer[#answer + 1] = text end
return answer
