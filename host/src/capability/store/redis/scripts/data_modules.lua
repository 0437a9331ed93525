-- Returns the modules that keep something.
local modules = {}
for _, module in ipairs(redis.call('SMEMBERS', base .. 'store:modules')) do
    local held = usage(module)
    if held.keys > 0 or held.relayed > 0 or held.timers > 0 then modules[#modules + 1] = module end
end
return modules
