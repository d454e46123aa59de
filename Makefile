# Thin on purpose: every target is one line; `make` alone lists them. Needs make, sh and either Docker or
# Python 3.11 or later (compose/bootstrap.py chooses one; PYTHON=python3.12 decides by hand, and so does
# RUNTIME=compose or native). Settings are given behind the target: make stress VUS=8
# A word counts because it was typed: the same name in the environment may be somebody else's.
TYPED = $(strip $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name))))
RUN_IT = @VAULTBENCH_TYPED='$(TYPED)' sh compose/make.sh

.PHONY: help up down status top logs trace roll doctor clean tools tools-clean demo smoke stress ask ab govault alerts report runs compare share panels ledger sweep test chaos test-all test-compose check
.NOTPARALLEL:

help:
	@awk -F':.*## ' '/^## /{print "\n" substr($$0,4)} /^[a-z-]+:.*## /{printf "  make %-13s %s\n",$$1,$$2}' Makefile

## The testbed
up: ## install what is missing, start everything, wait until it is ready; WORKERS=, or TOPOLOGY=scaled REPLICAS=
	$(RUN_IT) compose up
down: ## stop everything; data stays
	$(RUN_IT) compose down
status: ## what runs, how it is, how much memory it takes
	$(RUN_IT) compose status
top: ## a live view: uploads, latencies, errors, CPU, alerts, whose turn it is
	$(RUN_IT) compose top
logs: ## the end of all logs, or of one: NAME=upload
	$(RUN_IT) compose logs
trace: ## the way of one upload through all processes: ID=<upload_uuid or request id>
	$(RUN_IT) compose trace
roll: ## restart what runs more than once, one after another, while the system goes on serving
	$(RUN_IT) compose roll
doctor: ## what is missing or will not fit on this machine; REPORT=1 writes a file for others
	$(RUN_IT) compose doctor
sweep: ## remove what expired uploads and deleted files left, now; DRY_RUN=1 only counts; OLDER_THAN_S= UNKNOWN_OLDER_THAN_S=
	$(RUN_IT) loadtests sweep
clean: ## stop and delete all data; ALL=1 also deletes the secrets (.env)
	$(RUN_IT) compose clean
tools: ## fetch every external program now, for offline use
	$(RUN_IT) compose tools --all
tools-clean: ## delete the cache of external programs
	$(RUN_IT) compose tools-clean

## Proxy or direct?
demo: ## upload one file by each strategy and show each step (under a minute); RTT_MS= BANDWIDTH_MBIT=
	$(RUN_IT) loadtests demo
stress: ## the comparison: five questions, about 7 minutes; PROFILE= VUS= FILE_SIZE= STRATEGIES= RTT_MS= BANDWIDTH_MBIT= LOGIN= PRICES=
	$(RUN_IT) loadtests stress
ask: ## the prepared questions and whether this machine can; Q=hash asks one, in 5 minutes at most; PROFILE=
	$(RUN_IT) loadtests ask
ab: ## any A against any B, in 6 minutes: A="FINALISE=inline" B="FINALISE=detached", or BASE=main; docs/ab.md
	$(RUN_IT) loadtests ab
govault: ## GoVault's own study here, its table, charts and sentences, in 20 minutes; SCALE= TIME= shorten it
	$(RUN_IT) loadtests govault
smoke: ## ask every health route; upload one file by each strategy and read it back; RTT_MS= BANDWIDTH_MBIT=
	$(RUN_IT) loadtests smoke
alerts: ## provoke the alerts: each must fire in time and clear (3 minutes); PROFILE=
	$(RUN_IT) loadtests alerts
report: ## write the report of a run again, with other prices too; RUN= PRICES=loadtests/prices/example.yaml
	$(RUN_IT) loadtests report
runs: ## what was measured: when, on what, what was found
	$(RUN_IT) loadtests runs
compare: ## two runs side by side, with everything they differ in, never a winner; RUNS=x,y
	$(RUN_IT) loadtests compare
share: ## a run as one small zip without secrets and host names, and a block to paste; RUN=
	$(RUN_IT) loadtests share
panels: ## draw the dashboards of a run as one page, without Grafana; RUN=
	$(RUN_IT) loadtests panels
ledger: ## audit rows against objects; RUN=
	$(RUN_IT) loadtests ledger

## Working on it
test: ## all checks and tests; they start their own testbeds
	$(RUN_IT) compose test
chaos: ## drawn uploads and faults, each case judged: CASES=200 SEED=; LIMIT_S= KEEP_GOING=1 STORE=versitygw
	$(RUN_IT) compose chaos
test-all: ## `make test`, then the second store and long chaos; for the night
	$(RUN_IT) compose test-all
test-compose: ## start the containers with Docker and try everything on them; without a registry: docs/compose.md
	$(RUN_IT) compose test-compose
check: ## linter, format, types
	$(RUN_IT) compose check
