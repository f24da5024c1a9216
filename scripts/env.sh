# Sourced by the scripts here: goes to the repository's root and sets $python to the active environment's Python,
# else to that of .venv, else to python3.
cd "$(dirname "$0")/.." || exit 1
if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ]; then
    python=python
elif [ -x .venv/bin/python ]; then
    python=.venv/bin/python
else
    python=python3
fi
