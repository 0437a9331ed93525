-- Shows entries that wait in a channel and have not expired. ARGV: channel, when the entry before them was sent and
-- its digest, or -1 and an empty text, most entries, most bytes. Returns {entries in the channel, 1 if there are
-- more, {entry, digest, ...}}.
local key = base .. 'channel:' .. ARGV[1]
if not is_list(key) then return { 0, 0, {} } end
local after, most, bytes = tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
local length, at = redis.call('LLEN', key), 0
if after >= 0 then
    local _, found = find_sent(key, length, after, ARGV[3])
    at = found and found + 1 or first_sent_at(key, length, after)
end
local found, taken = {}, 0
while at < length and #found < most * 2 and (taken == 0 or taken < bytes) do
    local entry = redis.call('LINDEX', key, at)
    if expiry(entry) > now then
        found[#found + 1] = entry
        found[#found + 1] = redis.sha1hex(entry)
        taken = taken + #entry
    end
    at = at + 1
end
return { length, at < length and 1 or 0, found }
