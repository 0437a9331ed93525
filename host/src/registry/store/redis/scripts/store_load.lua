-- What is known of all modules. Returns {name, manifest, name, manifest ...}.
return redis.call('HGETALL', base .. 'modules')
