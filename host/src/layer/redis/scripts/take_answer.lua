-- Takes the answer to a question. ARGV: id of the question. Returns the answer, or nothing.
local key = base .. 'answer:' .. ARGV[1]
local answer = redis.call('GET', key)
if answer then redis.call('DEL', key) end
return answer
