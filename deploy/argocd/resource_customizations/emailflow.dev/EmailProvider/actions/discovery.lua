local suspended = obj.spec.suspend == true
local actions = {}
actions["suspend"] = {
  disabled = suspended,
  displayName = "Suspend",
  iconClass = "fa fa-fw fa-pause-circle",
}
actions["resume"] = {
  disabled = not suspended,
  displayName = "Resume",
  iconClass = "fa fa-fw fa-play-circle",
}
return actions
