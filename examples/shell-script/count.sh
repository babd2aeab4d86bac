#!/usr/bin/env bash
# Counts while the state is RUNNING. A state comes as a line on standard input; ENDING is the last one.
state=INIT
step_s=0.1
count=0

while [ "$state" != ENDING ]; do
    if [ "$state" = RUNNING ]; then
        sleep "$step_s"               # the work
        count=$((count + 1))
        echo "counted to $count"
        read -r -t 0 || continue      # no news: the next step
    fi
    read -r word rest || exit 1       # waits for news; without a daemon there will be none
    case $word in
        ARGS) step_s=$(sed -n 's/.*"step_s": *"\{0,1\}\([0-9.]*\).*/\1/p' <<<"$rest") ;;
        *) state=$word ;;
    esac
done
echo "done at $count"
