#!/usr/bin/env bash
# How a job ends when a rank dies, freezes or ends early: comm_faults.sh path/to/test_ranks
set -u
program=$1
failures=0

# run TEST SECONDS RANKS COUNT TEXT [OPTION …]: the job on RANKS ranks ends within SECONDS and TEXT
# appears COUNT times at least.
run() {
  local test=$1 seconds=$2 ranks=$3 count=$4 text=$5
  shift 5
  local output status found
  output=$(timeout --kill-after=5 "$seconds" mpirun --allow-run-as-root --oversubscribe --bind-to none \
    -n "$ranks" "$@" "$program" --gtest_also_run_disabled_tests --gtest_filter="MpiFault.DISABLED_$test" 2>&1)
  status=$?
  found=$(grep -c -F -- "$text" <<<"$output")
  if [[ $status == 124 || $status == 137 && $text != *signal* || $found -lt $count ]]; then
    echo "FAILED $test $*: status $status, '$text' $found times in"
    echo "$output"
    failures=$((failures + 1))
  else
    echo "ok $test $*"
  fi
}

# A launcher that doesn't look after its tasks leaves it to the pulse.
run LastRankIsKilledInAStep 15 3 1 "rank 2 has said nothing for" --enable-recovery
run FirstRankIsKilledInAStep 15 3 1 "rank 0 has said nothing for" --enable-recovery
run LastRankFreezesInAStep 15 3 1 "rank 2 has said nothing for"
run LastRankIsKilledInAStep 15 3 1 "exited on signal 9"
run LastRankIsKilledBeforeACollective 15 3 1 "rank 2 has said nothing for" --enable-recovery
run LastRankIsKilledInACollective 20 3 1 "rank 2 has said nothing for" --enable-recovery
run FirstRankIsKilledInACollective 20 3 1 "rank 0 has said nothing for" --enable-recovery
run LastRankIsKilledBeforeAMessage 15 3 1 "rank 2 has said nothing for" --enable-recovery

run LastRankEndsBeforeACollective 15 4 3 "told: rank 3 ended while rank"
run LastRankEndsBeforeAMessage 15 3 2 "told: rank 2 ended while rank"
run LastRankEndsBeforeTakingAMessage 15 3 2 "told: rank 2 ended while rank"
run LastRankEndsBeforeAStep 15 4 3 "told: rank 3: ended before the step was done"
run LastRankEndsAfterTakingPart 15 3 2 "told: nothing"
run LastRankThrowsWhileOthersWorkOn 30 2 1 "told: broken"

exit $((failures > 0))
