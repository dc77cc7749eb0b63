# Everything runs through cargo; these are the short names.
# Variables on the command line (make demo KEEP=1) reach the programs as their environment.

.PHONY: demo test down

# Watch a real Kubernetes move one active pod around. KEEP=1 leaves the cluster running.
demo:
	@cargo run --quiet --locked -p tests --bin demo

# Format, lints, unit and simulated tests, and the tests on a real cluster. ONLY=name runs what
# matches, SKIP_CLUSTER=1 leaves the real cluster out.
test:
	@cargo run --quiet --locked -p tests --bin verify

# End every cluster that was left running.
down:
	@cargo run --quiet --locked -p tests --bin cluster -- down --all
