-- ARGV: module, clock of the run or an empty text, prefix, key behind which it begins and last key (or empty
-- texts), entries, bytes and expired entries at most. Returns clock, last key of the page (empty: to the
-- end), digest, and each key with its entry.
local clock = ARGV[2] ~= '' and ARGV[2] or digits(now)
local at, entries, bytes, stepped_over = tonumber(clock), 0, 0, 0
local last, is_cut, parts, answer = '', false, {}, { clock, '', '' }
walk(ARGV[1], ARGV[3], ARGV[4], ARGV[5], function(key, entry)
    local is_full = entries >= tonumber(ARGV[6]) or bytes >= tonumber(ARGV[7])
    if is_full or stepped_over >= tonumber(ARGV[8]) then
        is_cut = true
        return true
    end
    last = key
    if is_expired(entry, at) then
        stepped_over = stepped_over + 1
        return false
    end
    entries, bytes = entries + 1, bytes + bytes_of(entry)
    parts[#parts + 1] = key .. '\255' .. version_of(entry)
    answer[#answer + 1] = key
    answer[#answer + 1] = entry
    return false
end)
answer[2] = is_cut and last or ARGV[5]
answer[3] = digest(parts)
return answer
