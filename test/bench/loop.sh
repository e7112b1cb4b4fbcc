#!/bin/sh
# loop.sh JOB_ID - what `make bench` compares with: a shell loop over kubectl, of the shape of 1.1 as
# that is documented, re-told (its own source is not public).
#
# A check is two `kubectl get` (the Job's status; its pods) and one `kubectl top`; five checks in a
# row at or below 4 millicores, or a Job that is finished, and everything is deleted. KUBECTL names
# the command, INTERVAL the seconds between checks, CHECKS an end after so many.
kubectl=${KUBECTL:-kubectl}
job=grpc-job-$1 count=0 checks=0

tear_down() {
	"$kubectl" delete service "grpc-service-$1" --ignore-not-found
	"$kubectl" delete job "$job" --ignore-not-found
	"$kubectl" delete job "cleanup-job-$1" --ignore-not-found
	exit 0
}

while [ "$checks" != "${CHECKS:-endless}" ]; do
	status=$("$kubectl" get job "$job" -o 'jsonpath={.status.conditions[*].type}')
	case $status in *Complete* | *Failed*) tear_down "$1" ;; esac
	running=$("$kubectl" get pods -l "job-name=$job" --no-headers | grep -c Running)
	cpu=$("$kubectl" top pod -l "job-name=$job" --no-headers | awk '{ sum += $2 } END { print sum + 0 }')
	if [ "$running" -gt 0 ] && [ "$cpu" -le 4 ]; then
		count=$((count + 1))
	else
		count=0
	fi
	[ "$count" -lt 5 ] || tear_down "$1"
	checks=$((checks + 1))
	sleep "${INTERVAL:-10}"
done
