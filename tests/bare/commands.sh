#!/bin/sh
# The README's two commands, typed on that machine; TEST takes the place of the second.
set -eu

make run >run.log 2>&1 &
run=$!
for _ in $(seq 600); do
    grep -q "Ctrl-C ends it" run.log && break
    kill -0 $run 2>/dev/null || { cat run.log; exit 1; }
    sleep 1
done
cat run.log
make ask Q="Is there an outage affecting the payment service?"
make --silent tickets
kill -TERM $run
wait $run || true
sh -c "$TEST"
