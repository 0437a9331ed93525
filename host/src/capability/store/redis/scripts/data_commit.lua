-- Does all that a commit asks for, or nothing. ARGV: module, run, version, clock of the run, quotas of bytes,
-- keys, parcels and timers, message (or empty) and how long its note is kept, layout; then lists, each after
-- the number of its texts: runs whose answers came; keys, each with what was seen ("a", or "e" or "l" and a
-- version); ranges, each as prefix, after, last and digest; writes, each as kind, key and two more;
-- parcels; timers, each as kind ("a", "m" or "c"), key or an empty text, span from now ("a") or moment ("m"),
-- parcel. Returns texts: "ok" and the number of the commit, or why not.
local module, run, message = ARGV[1], base .. 'store:run:' .. ARGV[2], ARGV[9]
local known = redis.call('GET', run)
if known == 'void' then return { 'void' } end
if known then return { 'ok', known } end
if message ~= '' then
    local kept = redis.call('ZSCORE', done_of(module), message)
    if kept and tonumber(kept) > now then return { 'done' } end
end

local next_list = 12
local function list()
    local first = next_list + 1
    next_list = first + tonumber(ARGV[next_list])
    return first, next_list - 1
end
local runs, runs_end = list()
local reads, reads_end = list()
local ranges, ranges_end = list()
local writes, writes_end = list()
local parcels, parcels_end = list()
local timers, timers_end = list()

for i = reads, reads_end, 2 do
    local entry, seen = redis.call('HGET', values_of(module), ARGV[i]), ARGV[i + 1]
    local kind = string.sub(seen, 1, 1)
    local holds
    if entry then
        holds = kind ~= 'a' and version_of(entry) == string.sub(seen, 2)
    else
        holds = kind ~= 'l'
    end
    if not holds then return { 'conflict', 'key', ARGV[i] } end
end
local clock = tonumber(ARGV[4])
for i = ranges, ranges_end, 4 do
    local parts = {}
    walk(module, ARGV[i], ARGV[i + 1], ARGV[i + 2], function(key, entry)
        if not is_expired(entry, clock) then
            parts[#parts + 1] = key .. '\255' .. version_of(entry)
        end
    end)
    if digest(parts) ~= ARGV[i + 3] then return { 'conflict', 'prefix', ARGV[i] } end
end
local changes = writes <= writes_end or parcels <= parcels_end or timers <= timers_end or message ~= ''
if not changes then return { 'ok', '' } end

-- The sum of two numbers of 64 bits, as texts. Nothing if it has more. Lua counts exactly to 2^53.
local function sum(a, b)
    if #a <= 15 and #b <= 15 then return digits(tonumber(a) + tonumber(b)) end
    local scratch = base .. 'store:sum'
    redis.call('SET', scratch, a)
    local added = redis.pcall('INCRBY', scratch, b)
    local total = redis.call('GET', scratch)
    redis.call('DEL', scratch)
    if type(added) == 'table' then return nil end
    return total
end

-- How many timers there are then.
local function timers_after(number)
    local standing = {}
    for i = timers, timers_end, 4 do
        local kind, key = ARGV[i], ARGV[i + 1]
        if key ~= '' then
            local stands = standing[key]
            if stands == nil then stands = redis.call('HEXISTS', timed_of(module), key) == 1 end
            if stands then number = number - 1 end
            standing[key] = kind ~= 'c'
        end
        if kind ~= 'c' then number = number + 1 end
    end
    return number
end

-- What becomes of each key, and what the module keeps then. Nothing is changed yet.
local function plan()
    local after, planned = usage(module), {}
    for i = writes, writes_end, 4 do
        local kind, key, first, second = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
        local before = redis.call('HGET', values_of(module), key)
        local entry
        if kind == 's' then
            local expires = first == '0' and 0 or now + tonumber(first)
            entry = ARGV[3] .. struct.pack('>I8', expires) .. second
        elseif kind == 'a' then
            local live = before and not is_expired(before, now)
            local head = live and string.sub(before, 9, HEADER) or string.rep('\0', 12) .. INTEGER
            if string.sub(head, -1) ~= INTEGER then return nil, { 'integer', key } end
            local total = sum(live and string.sub(before, HEADER + 1) or '0', first)
            if not total then return nil, { 'overflow', key } end
            entry = ARGV[3] .. head .. total
        end
        if before then
            after.keys = after.keys - 1
            after.bytes = after.bytes - #key - bytes_of(before)
        end
        if entry then
            after.keys = after.keys + 1
            after.bytes = after.bytes + #key + bytes_of(entry)
        end
        planned[#planned + 1] = { key = key, before = before, entry = entry }
    end
    after.relayed = after.relayed + parcels_end - parcels + 1
    after.timers = timers_after(after.timers)
    return { planned = planned, after = after }
end

-- Whether it would take the module beyond its quota. What leaves less than there was may.
local function over(before, after)
    for at, what in ipairs({ 'bytes', 'keys', 'relayed', 'timers' }) do
        local limit = tonumber(ARGV[4 + at])
        if after[what] > limit and after[what] > before[what] then
            return { 'quota', what, digits(after[what]), ARGV[4 + at] }
        end
    end
end

local before = usage(module)
local todo, refused = plan()
if todo and over(before, todo.after) and sweep(module) > 0 then
    before = usage(module)
    todo, refused = plan()
end
refused = refused or over(before, todo.after)
if refused then return refused end

if before.number == 0 then
    -- The first commit of the module, or the store was emptied: other processes may have another layout.
    local layout = redis.call('GET', base .. 'store:layout')
    if layout and layout ~= ARGV[11] then return { 'layout', layout } end
    if not layout then redis.call('SET', base .. 'store:layout', ARGV[11]) end
    redis.call('SADD', base .. 'store:modules', module)
end
local after = todo.after
after.number = before.number + 1
local sets_timers = false
for i = timers, timers_end, 4 do sets_timers = sets_timers or ARGV[i] ~= 'c' end
if after.bytes <= before.bytes and after.relayed <= before.relayed and not sets_timers then
    -- Redis out of memory refuses what needs more of it, but not in a script that has written already.
    redis.call('DEL', base .. 'store:none')
end
-- From here on nothing fails: with too little memory the first of these does.
keep_usage(module, after)
local first_expiry
for _, write in ipairs(todo.planned) do
    local key, entry = write.key, write.entry
    local had_expiry = write.before and expires_of(write.before) > 0
    if entry then
        redis.call('HSET', values_of(module), key, entry)
        if not write.before then redis.call('ZADD', index_of(module), 0, key) end
        local expires = expires_of(entry)
        if expires > 0 then
            redis.call('ZADD', expiry_of(module), digits(expires), key)
            first_expiry = math.min(first_expiry or expires, expires)
        elseif had_expiry then
            redis.call('ZREM', expiry_of(module), key)
        end
    elseif write.before then
        redis.call('HDEL', values_of(module), key)
        redis.call('ZREM', index_of(module), key)
        if had_expiry then redis.call('ZREM', expiry_of(module), key) end
    end
end
if message ~= '' then
    local kept = now + tonumber(ARGV[10])
    redis.call('ZADD', done_of(module), digits(kept), message)
    first_expiry = math.min(first_expiry or kept, kept)
end
if first_expiry then due(module, first_expiry) end
for i = parcels, parcels_end do
    redis.call('ZADD', waiting_of(module), 0, place(after.number, i - parcels) .. ARGV[i])
end
for i = timers, timers_end, 4 do
    local kind, key, moment, parcel = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
    local before = key ~= '' and redis.call('HGET', timed_of(module), key)
    if before then
        redis.call('ZREM', timers_of(module), string.sub(before, 1, PLACE) .. key)
        redis.call('HDEL', timed_of(module), key)
    end
    if kind ~= 'c' then
        local due = kind == 'a' and now + moment or math.max(now, moment)
        local at = place(after.number, (i - timers) / 4)
        redis.call('ZADD', timers_of(module), digits(due), at .. key)
        redis.call('HSET', timed_of(module), timed_row(at .. key), at .. parcel)
    end
end
if timers <= timers_end then set_alarm(module) end
redis.call('SET', run, digits(after.number), 'PX', RUN_KEPT)
for i = runs, runs_end do
    redis.call('DEL', base .. 'store:run:' .. ARGV[i])
end
return { 'ok', digits(after.number) }
