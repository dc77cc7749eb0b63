# Everything runs through cargo; these are the short names. `make` alone lists them.
# Variables on the command line (make demo KEEP=1) reach the programs as their environment.

.DEFAULT_GOAL := help
.PHONY: help demo test bench sim model mutants docs down

RUN := cargo run --quiet --locked --package tests --bin

help:
	@awk '/^# / { text = text "\n   " substr($$0, 2) } \
	  /^[a-z]+:/ && !/^help:/ && text { sub(/:.*/, ""); print "make " $$0 text; text = "" } \
	  !/^# / { text = "" }' Makefile

# Watch a real Kubernetes move one active pod around. KEEP=1 leaves the cluster running,
# JSON=FILE writes the summary for programs too, PICTURE=FILE draws it. CLUSTER=<kubeconfig file>
# IMAGES=<prefix> uses that cluster and these images instead, and asks first (YES=1 answers).
demo: .cargo
	@$(RUN) demo

# Format, lints, unit and simulated tests, and the tests on a real cluster. ONLY=name runs what
# matches, SKIP_CLUSTER=1 leaves the real cluster out, KUBE_VERSION=1.33 takes that Kubernetes.
test: .cargo
	@$(RUN) verify

# Measure on a real cluster beside a peer, and write results/ and docs/results.md. It takes hours:
# ONLY=failover/<event> does one event and keeps the results of the others, RUNS=n does each n times.
# NOTE=text is kept with the results; ONLY=page writes the page from results that exist.
# ONLY=seeds/<event> has ours take the place of other systems, by their profiles.
# ONLY=contention lets ours and client-go's electors contend, for DURATION=3m and from SEED=7.
# ONLY=webhook sends reviews to the webhook and to a Go server that looks at none; ONLY=handler
# measures the handler alone. Both want a quiet machine.
bench: .cargo
	@$(RUN) bench

# Play the simulated world: SEEDS=100000 plays so many random runs that nobody has played before,
# SCENARIO=name SEED=7 shows one run, SEED=0..1000 plays many. Alone it lists the scenarios.
sim: .cargo
	@cargo run --quiet --locked --bin sim -- $(if $(SEEDS),$(SEEDS),$(SCENARIO) $(SEED))

# Explore the model of the election: everything that can happen within each scope's bounds, in some
# minutes. SCOPE=name explores one, and shows the shortest way to whatever is wrong.
model: .cargo
	@cargo run --quiet --locked --bin model -- $(or $(SCOPE),all)

# Put each deliberate bug of tests/mutants in a copy of the project, and show what catches it.
# ONLY=name tries those that match.
mutants: .cargo
	@$(RUN) mutants

# Write docs/annotations.md and docs/metrics.md anew from the contract and the metrics.
docs: .cargo
	@UPDATE=1 cargo test --quiet --locked --package common

# End the cluster ID=..., or every cluster of this machine that was left running.
down: .cargo
	@$(RUN) cluster -- down $(if $(ID),$(ID),--all)

.PHONY: .cargo
.cargo:
	@command -v cargo > /dev/null || \
	  { echo "cargo is missing: install Rust with rustup, https://rustup.rs" >&2; exit 1; }
