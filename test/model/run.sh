#!/bin/bash
# Checks the model of the protocol with spin: test/model/run.sh [-v] [NAME...]; see docs/model.md.
#   -v      print the trail of what is found, as requests
#   NAME    only these lines of the list below
# Needs spin and gcc (apt-get install spin gcc). Runs as many checks at once as there are cores.
set -u
here=$(cd "$(dirname "$0")" && pwd)
model=$here/cleanup.pml

# kind    name                   promise   flags
#
# promise: must hold. breaks: must be found to break the promise.
# window: no client of this API can close it, or it is outside the promise; must be found, too.
# reach: must be reachable, or the promises would say nothing.
list() {
	cat <<-'END'
	promise idle                 IDLE      JOB_ONLY
	promise idle-late            IDLE      JOB_ONLY LATE_REQUESTS FAULTS=1
	promise idle-newcomer        IDLE      JOB_ONLY NEWCOMER
	promise fresh                FRESH     JOB_ONLY
	promise newcomer             NEWCOMER  NO_IDLE NEWCOMER
	promise newcomer-late        NEWCOMER  NO_IDLE NEWCOMER LATE_REQUESTS FAULTS=1
	promise newcomer-idle        NEWCOMER  JOB_ONLY NEWCOMER
	promise idle-all             IDLE      NEWCOMER FAULTS=1 CRASHES=0
	promise newcomer-all         NEWCOMER  NEWCOMER FAULTS=1 CRASHES=0
	promise order                ORDER     NO_IDLE NEWCOMER
	promise order-idle           ORDER     ONLY_IDLE FAULTS=1
	promise order-anew           ORDER     NO_IDLE SERVICE_ANEW ONLY_FINISH FAULTS=0
	promise pods                 PODS      NO_IDLE NEWCOMER ORPHANS
	promise once                 ONCE      JOB_ONLY
	promise left                 LEFT      NO_IDLE FAULTS=2 CRASHES=1
	promise left-crashes         LEFT      NO_IDLE FAULTS=1 CRASHES=2
	promise left-idle            LEFT      ONLY_IDLE FAULTS=1
	promise left-orphans         LEFT      NO_IDLE ORPHANS FAULTS=1
	promise left-anew            LEFT      NO_IDLE SERVICE_ANEW ONLY_FINISH FAULTS=0
	promise newcomer-anew        NEWCOMER  NO_IDLE NEWCOMER SERVICE_ANEW FAULTS=1
	breaks  no-uid               NEWCOMER  NO_IDLE NEWCOMER NO_UID_PRECONDITION
	breaks  no-rv                IDLE      JOB_ONLY NO_RV_PRECONDITION
	breaks  rv-of-event          IDLE      JOB_ONLY VERSION_OF_THE_EVENT
	breaks  unknown-is-idle      IDLE      JOB_ONLY UNKNOWN_IS_IDLE
	breaks  active-keeps-count   IDLE      JOB_ONLY ACTIVE_KEEPS_COUNT
	breaks  one-sample           IDLE      JOB_ONLY ONE_SAMPLE_COUNTS
	breaks  retry-old-look       FRESH     JOB_ONLY RETRY_ON_OLD_LOOK
	breaks  service-no-uid       NEWCOMER  NO_IDLE NEWCOMER SERVICE_WITHOUT_UID
	breaks  service-no-look      NEWCOMER  NO_IDLE NEWCOMER NO_LOOK_BEFORE_SERVICE
	breaks  patch-no-uid         NEWCOMER  NO_IDLE NEWCOMER PATCH_WITHOUT_UID
	breaks  queues-no-look       NEWCOMER  NO_IDLE NEWCOMER NO_LOOK_BEFORE_QUEUES
	breaks  note-unconfirmed     NEWCOMER  NO_IDLE NEWCOMER NOTE_UNCONFIRMED
	breaks  ask-self-late        NEWCOMER  NO_IDLE NEWCOMER ASK_SELF_LATE
	breaks  queues-first         ORDER     ONLY_IDLE FAULTS=1 QUEUES_FIRST
	breaks  late-job-ignored     ORDER     NO_IDLE NEWCOMER LATE_JOB_IGNORED
	breaks  self-first           ORDER     NO_IDLE SELF_FIRST
	breaks  accepted-is-gone     ORDER     NO_IDLE ACCEPTED_IS_GONE
	breaks  service-409-final    ORDER     NO_IDLE SERVICE_ANEW ONLY_FINISH FAULTS=0 SERVICE_409_IS_FINAL
	breaks  service-noted-once   ORDER     NO_IDLE SERVICE_ANEW ONLY_FINISH FAULTS=0 SERVICE_NOTED_ONCE
	breaks  no-wait-for-pods     PODS      NO_IDLE NO_WAIT_FOR_PODS
	breaks  missing-no-pods      PODS      NO_IDLE MISSING_IGNORES_PODS
	breaks  missing-no-pods-left LEFT      NO_IDLE ORPHANS FAULTS=1 MISSING_IGNORES_PODS
	breaks  retry-blindly        ONCE      JOB_ONLY RETRY_BLINDLY
	breaks  trust-watch          LEFT      NO_IDLE FAULTS=1 TRUST_WATCH_ONLY
	breaks  no-restart           LEFT      NO_IDLE FAULTS=1 NO_RESTART
	breaks  self-first-left      LEFT      NO_IDLE FAULTS=1 SELF_FIRST
	window  busy-after-reading   FRESH     JOB_ONLY BUSY_AT_ALL
	window  queue-after-look     NEWCOMER  NO_IDLE NEWCOMER STRICT_QUEUES
	window  service-before-job   NEWCOMER  NO_IDLE NEWCOMER SERVICE_FIRST
	window  service-taken-over   NEWCOMER  NO_IDLE NEWCOMER INHERIT
	window  anew-between         ORDER     NO_IDLE SERVICE_ANEW ONLY_FINISH FAULTS=0 ANEW_BETWEEN
	window  anew-answer-lost     ORDER     NO_IDLE SERVICE_ANEW ONLY_FINISH FAULTS=1
	window  anew-deleted-by-hand ORDER     NO_IDLE SERVICE_ANEW FAULTS=0
	window  dying-pod-declares   LEFT      NO_IDLE FAULTS=1 DYING_PODS
	reach   idle-after-crash     REACH=1   JOB_ONLY
	reach   late-idle-delete     REACH=2   JOB_ONLY LATE_REQUESTS
	reach   409-newcomer         REACH=3   NO_IDLE NEWCOMER
	reach   409-held             REACH=4   JOB_ONLY
	reach   409-service          REACH=5   NO_IDLE NEWCOMER
	reach   409-self             REACH=6   NO_IDLE NEWCOMER
	reach   newcomer-after-crash REACH=7   NO_IDLE NEWCOMER
	reach   torn-down-after-all  REACH=8   JOB_ONLY
	END
}

line() { # ok|FAIL name text; one write a line, as several checks run at once
	printf '%-4s  %-22s %s\n' "$@"
}

# The compiler's options for one check, one a line.
options() { # promise flags...
	local promise=$1 f
	shift
	case $promise in
	REACH=*) echo "-D$promise" ;;
	*) echo "-DP_$promise" ;;
	esac
	for f; do
		echo "-D$f"
	done
}

# Compiled without optimization: gcc would need 8 s for each check, longer than most searches take.
verify() { # promise kind; in a directory with cleanup.pml: pan.out
	local cc=(-DSAFETY -DNOFAIR) args=(-m100000)
	case $1,$2 in
	LEFT,*) cc=(-DNFAIR=3) args=(-m1000000 -a -f -N left) ;;
	*,promise) ;;
	*) cc+=(-DBFS) ;; # breadth first: the shortest trail
	esac
	spin -a "${opts[@]}" cleanup.pml > spin.out 2>&1 &&
		gcc -O0 -w -DMEMLIM=1900 "${cc[@]}" -o pan pan.c > gcc.out 2>&1 &&
		timeout 600 ./pan "${args[@]}" > pan.out 2>&1
}

# What pan.out says: holds, broken, or why it says nothing.
verdict() { # promise
	local what='assertion violated'
	[ "$1" = LEFT ] && what='acceptance cycle'
	if ! grep -q "^State-vector .* errors: [0-9]" pan.out 2> /dev/null; then
		echo 'spin, gcc or pan failed'
	elif grep -q -e 'Search not completed' -e 'max search depth too small' -e 'out of memory' pan.out &&
	     ! grep -q 'pan:1:' pan.out; then
		echo 'the search was not complete'
	elif grep -q 'errors: 0$' pan.out; then
		echo holds
	elif grep 'pan:1:' pan.out | grep -q -e '(ans!=' -e '(f_job!='; then
		echo 'what cannot happen, happened'
	elif grep -q "pan:1: $what" pan.out; then
		echo broken
	else
		grep -m1 -o 'pan:1:.*' pan.out
	fi
}

one() { # kind name promise flags...
	local kind=$1 name=$2 promise=$3 f v want=broken text dir states opts
	shift 3
	for f in "${promise/#[!R]/P_${promise:0:1}}" "$@"; do # a slip must not pass for a promise
		grep -qw "${f%%=*}" "$model" || { line FAIL "$name" "the model knows no $f"; return 1; }
	done
	dir=$(mktemp -d) && cp "$model" "$dir" && cd "$dir" || return 1
	mapfile -t opts < <(options "$promise" "$@")
	verify "$promise" "$kind"
	times > times.out # not in a pipe or $(): there it is another shell's
	v=$(verdict "$promise")
	case $kind in
	promise) want=holds text="promise $promise holds" ;;
	breaks) text="mutation, breaks $promise" ;;
	window) text="window, outside $promise" ;;
	reach) text='reachable' ;;
	esac
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.out 2> /dev/null)
	if [ "$v" = "$want" ]; then
		line ok "$name" "$text: $states states, $(cpu_seconds) s"
	else
		line FAIL "$name" "$text: $v (wanted: $want), $states states, $(cpu_seconds) s; ${opts[*]}"
	fi
	[ "$verbose" ] && { echo "      ${opts[*]}"; grep -h -o 'pan:1: .*' pan.out; }
	if [ "$v" = broken ] && { [ "$verbose" ] || [ "$v" != "$want" ]; }; then
		spin -t -T -B "${opts[@]}" cleanup.pml 2>&1 | grep -v -e '^spin: ' -e '^ltl ' -e '^Never' -e '^ *$'
	fi
	cd / && rm -rf "$dir"
	[ "$v" = "$want" ]
}

cpu_seconds() { # of spin, gcc and pan, so that a busy machine does not matter
	awk 'NR == 2 { split($1 "m" $2, t, /[ms]+/)
		       printf "%.1f", t[1] * 60 + t[2] + t[3] * 60 + t[4] }' times.out
}

verbose=${VERBOSE-} at_once=$(nproc)
if [ "${1-}" = -1 ]; then # one check, started by xargs below
	read -r -a words <<< "$2"
	one "${words[@]}"
	exit
fi
if [ "${1-}" = -v ]; then
	verbose=1 at_once=1
	shift
fi
for tool in spin gcc; do
	command -v "$tool" > /dev/null || { echo "$tool is missing: apt-get install spin gcc"; exit 1; }
done
export VERBOSE=$verbose

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
list | while read -r kind name rest; do
	case " $* " in '  ' | *" $name "*) echo "$kind $name $rest" ;; esac
done > "$tmp/list"
xargs -r -d '\n' -P "$at_once" -n 1 "$0" -1 < "$tmp/list" | tee "$tmp/out"
wanted=$(wc -l < "$tmp/list")
passed=$(grep -c '^ok  ' "$tmp/out")
failed=$((wanted - passed)) # also those that said nothing
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$wanted" -gt 0 ]
