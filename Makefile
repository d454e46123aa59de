# Thin on purpose: every target is one line; `make` alone lists them. Needs make, sh and Python 3.11 or later
# (another one is named with PYTHON=python3.12). Settings are given behind the target: make stress SCALE=0.5
PYTHON ?= python3
IN_VENV = @$(PYTHON) compose/bootstrap.py
IN_DEV_VENV = @$(PYTHON) compose/bootstrap.py --dev

.PHONY: help up down status logs trace doctor clean tools tools-clean demo smoke stress journey bench report ledger test check
.NOTPARALLEL:

help:
	@awk -F':.*## ' '/^## /{print "\n" substr($$0,4)} /^[a-z-]+:.*## /{printf "  make %-12s %s\n",$$1,$$2}' Makefile

## The testbed
up: ## install what is missing, start everything, wait until it is ready
	$(IN_VENV) compose up
down: ## stop everything; data stays
	$(IN_VENV) compose down
status: ## what runs, how it is, how much memory it takes
	$(IN_VENV) compose status
logs: ## the end of all logs, or of one: NAME=upload
	$(IN_VENV) compose logs
trace: ## the way of one upload through all processes: ID=<upload_uuid or request id>
	$(IN_VENV) compose trace
doctor: ## what is missing or will not fit on this machine; changes nothing
	$(IN_VENV) compose doctor
clean: ## stop and delete all data; ALL=1 also deletes the secrets (.env)
	$(IN_VENV) compose clean
tools: ## fetch every external program now, for offline use
	$(IN_VENV) compose tools --all
tools-clean: ## delete the cache of external programs
	$(IN_VENV) compose tools-clean

## Proxy or direct?
demo: ## upload one file by each strategy and show each step (under a minute)
	$(IN_VENV) loadtests demo
stress: ## the comparison: four questions, about 10 minutes; PROFILE= SCALE= VUS= FILE_SIZE= STRATEGIES= LOGIN=
	$(IN_VENV) loadtests stress
smoke: ## every route once, to see that the running system works
	$(IN_VENV) loadtests smoke
journey: ## the classic load shapes with think times; SHAPE=load|stress|spike
	$(IN_VENV) loadtests journey
bench: ## speed against bare PUTs to the store
	$(IN_VENV) loadtests bench
report: ## write the report of a run again; RUN=
	$(IN_VENV) loadtests report
ledger: ## audit rows against objects; RUN=
	$(IN_VENV) loadtests ledger

## Working on it
test: ## all checks and tests; they start their own testbeds
	$(IN_DEV_VENV) compose test
check: ## linter, format, types
	$(IN_DEV_VENV) compose check
