-- Argo CD: whether a CanaryRelease is healthy. How to install it: docs/how-to/gitops.md.
local hs = {status = "Progressing", message = "the controller has not seen it yet"}
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return hs
end

local function condition(kind)
  for _, one in ipairs(status.conditions or {}) do
    if one.type == kind then
      return one
    end
  end
  return {status = "Unknown", reason = "", message = ""}
end

local phase = status.phase
local run = status.run or {}
local next = run.next or ""
local annotations = obj.metadata.annotations or {}

if phase == "Refused" then
  hs.status, hs.message = "Degraded", status.message or "the spec is refused"
elseif phase == "RolledBack" then
  local why = condition("Overridden").message
  for _, failed in ipairs(run.failed or {}) do
    why = failed.version .. ": " .. failed.because
  end
  hs.status, hs.message = "Degraded", "rolled back; " .. why
elseif annotations["serin.dev/health"] == "synced" and condition("Programmed").status == "True" then
  hs.status, hs.message = "Healthy", "routes and filter are up to date; " .. phase
elseif phase == "AwaitingApproval" then
  hs.status, hs.message = "Suspended", "serin approve " .. obj.metadata.namespace .. "/" .. obj.metadata.name
elseif phase == "Paused" then
  hs.status, hs.message = "Suspended", "paused"
elseif phase == "Advancing" then
  hs.status, hs.message = "Progressing", next
elseif phase == "Active" or phase == "TakenOver" or phase == "Completed" then
  hs.status, hs.message = "Healthy", status.canaries or ""
else
  hs.status, hs.message = "Progressing", status.message or phase or ""
end
return hs
