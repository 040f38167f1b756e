# Outlives the rig by a moment, to end what the rig could not.
#
# A frozen worker cannot see that its parent has gone, and a rig that was killed cannot end it. So
# this process is told of each worker's process group, +1234 of a new one and -1234 of one that has
# ended, and ends those left when its input closes. A shell, since it starts in a tenth of Node's time.

trap '' INT TERM # only the end of input ends it
groups=" "
while read -r told; do
  group=${told#?}
  case $told in
    +*) groups="$groups$group " ;;
    -*) case $groups in *" $group "*) groups="${groups%%" $group "*} ${groups#*" $group "}" ;; esac ;;
  esac
done
for group in $groups; do
  kill -KILL "-$group" 2>/dev/null
done
