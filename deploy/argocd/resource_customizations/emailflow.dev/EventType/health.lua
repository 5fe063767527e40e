-- Health by kstatus' rules, which the status keeps to: what was observed of an older generation says
-- nothing, Stalled is a failure, and whatever else is not Ready is on its way. In this API Stalled means
-- that only a change of the object itself can help. An object that waits for another one (files arrive in
-- any order) is Progressing, so it fails no sync.
local status = obj.status or {}
local judged = { status = "Progressing", message = "Waiting for the operator" }

if status.observedGeneration == nil or status.observedGeneration ~= obj.metadata.generation then
  return judged
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local ready = conditions["Ready"]
local stalled = conditions["Stalled"]
if stalled ~= nil and stalled.status == "True" then
  judged.status = "Degraded"
  judged.message = stalled.reason .. ": " .. stalled.message
elseif ready ~= nil then
  judged.message = ready.reason .. ": " .. ready.message
  if ready.status == "True" then
    judged.status = "Healthy"
    judged.message = ready.message
    if ready.reason == "Suspended" or obj.spec.suspend == true then
      judged.status = "Suspended"
    end
  end
end
return judged
