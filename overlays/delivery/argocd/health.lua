-- The health of a VolcanoJob for Argo CD, which has no check of its own for it.
-- Phases: volcano.sh/apis, pkg/apis/batch/v1alpha1, JobPhase.
local hs = { status = "Progressing", message = "not started" }
if obj.status == nil or obj.status.state == nil or obj.status.state.phase == nil then
  return hs
end
local phase = obj.status.state.phase
hs.message = phase
if obj.status.state.message ~= nil and obj.status.state.message ~= "" then
  hs.message = phase .. ": " .. obj.status.state.message
end
if phase == "Completed" then
  hs.status = "Healthy"
elseif phase == "Failed" or phase == "Terminated" then
  hs.status = "Degraded"
elseif phase == "Aborted" then
  -- A ResumeJob command starts it again.
  hs.status = "Suspended"
end
return hs
