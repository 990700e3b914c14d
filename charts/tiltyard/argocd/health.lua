-- Health of a Tournament for Argo CD: resource.customizations.health.tiltyard.dev_Tournament
if obj.metadata.deletionTimestamp ~= nil then
  return {status = "Progressing", message = "being deleted"}
end
local health = {status = "Progressing", message = "waiting for the operator"}
if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.status.observedGeneration ~= nil and obj.status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "an edit is not taken in yet"}
end
for _, condition in ipairs(obj.status.conditions) do
  if condition.status == "True" then
    if condition.type == "Stalled" then
      return {status = "Degraded", message = condition.message}
    elseif condition.type == "Ready" then
      health = {status = "Healthy", message = condition.message}
    elseif condition.type == "Suspended" then
      health = {status = "Suspended", message = condition.message}
    elseif condition.type == "Reconciling" then
      health = {status = "Progressing", message = condition.message}
    end
  end
end
return health
