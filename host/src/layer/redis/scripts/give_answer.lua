-- Gives the answer to a question. ARGV: id of the question, answer, for how many milliseconds. Returns 1.
redis.call('SET', base .. 'answer:' .. ARGV[1], ARGV[2], 'PX', ARGV[3])
return 1
