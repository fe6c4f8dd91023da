-- Counts a guess in all of its budgets or in none, and settles it: the arithmetic of `ostiary_core::limit`, in one
-- atomic step. Times are in milliseconds.
--
-- KEYS: the budgets. ARGV: what to do; the time; how long a guess may be under way; then for each budget
-- `consecutive`, the free failures, the longest delay, how long failures are kept, the time until which they are
-- forgiven; or `rate`, the burst, the interval, 0, 0.
--
-- Answers `{failures}` for a guess that was counted, `{-1}` for one that has to wait for others, and `{-2, wait}` for
-- one that is refused.
local action, now, pending_for = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local function rule_of(index)
    local first = 4 + (index - 1) * 5
    return {
        is_rate = ARGV[first] == 'rate',
        size = tonumber(ARGV[first + 1]),
        span = tonumber(ARGV[first + 2]),
        kept = tonumber(ARGV[first + 3]),
        forgiven_at = tonumber(ARGV[first + 4]),
    }
end

-- What is spent of a budget and counts now.
local function read(key, rule)
    local level, pending, at = 0, 0, 0
    local text = redis.call('get', key)
    if text then
        local words = {}
        for word in string.gmatch(text, '%S+') do
            words[#words + 1] = tonumber(word)
        end
        level, pending, at = words[1], words[2], words[3]
        if not rule.is_rate and (at <= rule.forgiven_at or now - at > rule.kept) then
            level, pending, at = 0, 0, math.min(now, at)
        end
    end
    if now - at > pending_for then
        pending = 0
    end
    return level, pending, at, text
end

local function write(key, rule, level, pending, at)
    local is_nothing = pending == 0 and ((rule.is_rate and level <= now) or (not rule.is_rate and level <= 0))
    if is_nothing then
        redis.call('del', key)
        return
    end
    local until_ = rule.is_rate and math.max(level, at + pending_for) or at + rule.kept
    local text = string.format('%.0f %.0f %.0f', level, pending, at)
    redis.call('set', key, text, 'px', string.format('%.0f', math.max(until_ - now, 1)))
end

local function delay_after(failures, rule)
    if failures < rule.size then
        return 0
    end
    return math.min(1000 * 2 ^ math.min(failures - rule.size, 40), rule.span)
end

if action == 'admit' then
    local rooms, refused, is_pending = {}, 0, false
    for index, key in ipairs(KEYS) do
        local rule = rule_of(index)
        local level, pending, at = read(key, rule)
        local wait, new_level
        if rule.is_rate then
            new_level = math.max(level, now) + rule.span
            wait = new_level - rule.size * rule.span - now
        else
            new_level = level + 1
            wait = math.min(at, now) + delay_after(level, rule) - now
        end
        if wait <= 0 then
            rooms[index] = { rule, new_level, pending + 1, math.max(at, now) }
        elseif pending > 0 then
            is_pending = true
        else
            refused = math.max(refused, wait)
        end
    end
    if refused > 0 then
        return { -2, refused }
    end
    if is_pending then
        return { -1 }
    end
    local failures = 0
    for index, key in ipairs(KEYS) do
        local rule, level, pending, at = unpack(rooms[index])
        if not rule.is_rate then
            failures = math.max(failures, level)
        end
        write(key, rule, level, pending, at)
    end
    return { failures }
end

for index, key in ipairs(KEYS) do
    local rule = rule_of(index)
    local level, pending, at, text = read(key, rule)
    if text then
        local others = math.max(pending - 1, 0)
        if action == 'reset' then
            if not rule.is_rate then
                level = pending
            end
        elseif action == 'failed' then
            pending = others
            if not rule.is_rate then
                at = math.max(at, now)
            end
        else
            if rule.is_rate then
                level = level - rule.span
            elseif action == 'succeeded' then
                level = others
            else
                level = level - 1
            end
            pending = others
        end
        write(key, rule, level, pending, at)
    end
end
return { 0 }
