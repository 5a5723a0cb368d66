#!/usr/bin/env bash
# Makes written_by_2cdd03a.tar.xz: what commit 2cdd03a left behind, for tests that later code still reads it.
#
#   tests/end_to_end/old/make_fixtures.sh CHECKOUT PYTHON OUT.tar.xz
#
# CHECKOUT  any clone that has the commit; it is only read
# PYTHON    a Python with that commit's dependencies
# OUT       the archive
#
# Old records hold absolute paths: artifact places in mlflow.db, study.json, the tags `folder` and `command`. So all
# is made in /rope-dit-old, which is on no machine, by code in /rope-dit-old-code; both are removed at the end.
set -euo pipefail

COMMIT=2cdd03a
CHECKOUT=$(realpath "$1") PYTHON=$(realpath --no-symlinks "$2") OUT=$(realpath "$3")
WORK=/rope-dit-old CODE=/rope-dit-old-code CACHE=/rope-dit-old-cache

for folder in "$WORK" "$CODE" "$CACHE"; do
    if [ -e "$folder" ]; then
        echo "$folder exists; remove it first" >&2
        exit 1
    fi
done
trap 'rm -rf "$WORK" "$CODE" "$CACHE"' EXIT
mkdir "$WORK" "$CACHE"
git clone -q "$CHECKOUT" "$CODE"
git -C "$CODE" checkout -q "$COMMIT"
cd "$WORK"

export PYTHONPATH="$CODE" PYTHONDONTWRITEBYTECODE=1     # an installed rope-dit must not be taken instead
export ROPE_DIT_CACHE="$CACHE"
export MLFLOW_TRACKING_URI="sqlite:///$WORK/mlflow.db"
export OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES=""        # bits depend on the threads; a later machine may have no GPU

python() { "$PYTHON" "$@"; }
run() { python -m experiments.run --preset smoke --train.threads 1 "$@"; }
study() { python -m experiments.study "$@" --train.threads 1 --workers 2; }
newest_only() { find "$1/checkpoints" -name '*.safetensors' | sort | head -n -1 | xargs -r rm; }
without_weights() { find "$@" -type d -name checkpoints -prune -exec rm -r {} +; }

imported=$(python -c 'import experiments, analysis, rope_dit; print(experiments.__file__)')
[ "$imported" = "$CODE/experiments/__init__.py" ]

# --- runs with weights: one to be scored and sampled further, one to be gone on with
run --variant rope2d --seed 0 --out runs/finished
newest_only runs/finished
run --variant learned+rope2d --seed 1 --until 10 --out runs/unfinished
newest_only runs/unfinished

# --- what the old code makes of them: of copies, whose traces go to a store of their own, so that mlflow.db still
#     says what runs/ says
mkdir scratch
cp -a runs/finished runs/unfinished scratch/
(
    export MLFLOW_TRACKING_URI="sqlite:///$WORK/scratch/mlflow.db"
    run --variant learned+rope2d --seed 1 --out scratch/unfinished
    python -m experiments.evaluate scratch/finished --samplers rk4:steps=2
    python -m experiments.sample scratch/finished --n 20 --out runs/expected_sample.npz
)
mkdir runs/expected
(cd scratch/unfinished && cp -a scores.csv metrics.jsonl config.json ending.json "$WORK/runs/expected/")
cp -a scratch/finished/scores.csv runs/expected_evaluate.csv
python - <<'PY'
import hashlib
import json
from pathlib import Path

from safetensors.numpy import load_file

last = sorted(Path("scratch/unfinished/checkpoints").glob("*.safetensors"))[-1]
assert last.name.startswith("00000020-"), last
tensors = load_file(last)
found = {
    name: hashlib.sha256(tensors[name].tobytes()).hexdigest()
    for name in sorted(tensors)
    if name.startswith(("model.", "ema."))
}
Path("runs/expected/weights_sha256.json").write_text(json.dumps(found, indent=1) + "\n")
PY
rm -r scratch

# --- what made it: bits are only promised on the same kind of CPU and with the same torch
python - <<'PY'
import json
import platform
from importlib.metadata import version
from pathlib import Path

import torch

made = {name: version(name) for name in ("numpy", "safetensors", "mlflow", "optuna")}
made |= {"torch": str(torch.__version__), "python": platform.python_version(), "machine": platform.machine()}
made |= {"cpu_capability": torch.backends.cpu.get_cpu_capability()}
made |= {"cpu": next(line for line in open("/proc/cpuinfo") if line.startswith("model name")).split(":")[1].strip()}
Path("made_with.json").write_text(json.dumps(made, indent=1) + "\n")
PY

# --- runs without weights
run --variant none --runs by_name                                  # named by its fingerprint
run --model.no-conditional --out runs/unconditional
mkdir plugins
cat > plugins/rope1d_columns.py <<'PY'
"""Rotary embedding over the columns of the tokens."""

from torch import Tensor

from rope_dit.pos_embed.base import Grid
from rope_dit.pos_embed.rotation import Rotary, frequencies, positions
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("rope1d_columns")
class ColumnRope(Rotary):
    """1-D RoPE over columns: rows are invisible."""

    relative = True
    sees = ("column",)

    def angles(self, grid: Grid) -> list[Tensor]:
        """Column angles, [T, K/2]."""
        omega = frequencies(self.geometry.head_dim // 2, 100.0, "rope1d_columns")
        return [positions(grid)[1][:, None] * omega]
PY
run --plugins plugins --variant rope1d_columns --out runs/plugin
without_weights by_name runs/unconditional runs/plugin

# --- studies: two arms and one with overrides, two seeds each; and a tuning of two arms in two lots of two: with the
#     first lot alone the default configuration is the best of both arms, and there is nothing to confirm
study --preset smoke --name old --variants learned rope2d --arms "fast=rope2d;train.lr=0.003" --seeds 2 --eval.n 100
study tune smoke --name tuned --variants learned rope2d --tune.trials 4 --tune.width 2 --tune.rungs 2
without_weights studies

# --- no name of this machine: where it does not matter who a run is (tags and locks), and the logs
export HOST_NAME
HOST_NAME=$(hostname)
PREFIXES=$(python -c 'import sys; print(sys.prefix, sys.base_prefix)')
python - <<'PY'
import os
import sqlite3

with sqlite3.connect("mlflow.db") as store:
    store.execute("UPDATE tags SET value = 'oldhost' WHERE key = 'host' AND value = ?", [os.environ["HOST_NAME"]])
store.close()
PY
find . -name lock -exec sed -i "s/ on $HOST_NAME\$/ on oldhost/" {} +
for prefix in $PREFIXES; do
    find studies -path '*/logs/*' -exec sed -i "s|$prefix|/python|g" {} +
done
rm -r reports/old                                                  # it names the host: again, from the store
python -m analysis.report --study old

# --- smaller: index.html has the figures in itself; of the sample grids a report reads those of the last step under the
#     first sampler, and no other command reads any
rm -r reports/old/figures
find mlartifacts studies by_name runs/unconditional runs/plugin \
    \( -path '*/pictures/*-heun-*' -o -path '*/pictures/00000010-*' \) -delete
find mlartifacts/tuned studies/tuned -type d -name pictures -prune -exec rm -r {} +
python - <<'PY'
import sqlite3
from pathlib import Path

for file in ("mlflow.db", *map(str, Path("studies").glob("*/optuna.db"))):
    store = sqlite3.connect(file)
    store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.execute("VACUUM")
    store.close()
PY

# --- nothing of this machine is left
for text in $PREFIXES "$CHECKOUT" "$OUT" "$HOME/" "$CODE" "$CACHE" /tmp/ pypi; do
    if grep -rlaF -e "$text" .; then
        echo "the files above hold '$text'" >&2
        exit 1
    fi
done
told() {                                                           # all texts, without the pictures in index.html
    find . -type f \( -name '*.csv' -o -name '*.json*' -o -name '*.txt' -o -name '*.md' -o -name '*.html' \
        -o -name '*.tex' -o -name '*.py' -o -name lock \) -exec sed 's/base64,[^"]*//g' {} +
    python -c 'import sqlite3, sys; [print(*sqlite3.connect(f).iterdump(), sep="\n") for f in sys.argv[1:]]' \
        mlflow.db studies/*/optuna.db
}
told > "$CACHE/told"
if grep -wF -e "$HOST_NAME" "$CACHE/told"; then
    echo "the lines above hold the name of this host" >&2
    exit 1
fi
rm -f mlflow.db.lock
tar --sort=name --owner=0 --group=0 --numeric-owner -cf - -- * | xz -9e > "$OUT"
ls -l "$OUT"
