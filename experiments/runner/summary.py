"""The table that ends a run."""

from experiments.records.mlflow_mirror import Mirror, hidden
from experiments.records.run_folder import RunFolder


def summary(folder: RunFolder, mirror: Mirror) -> str:
    """Scores of the last step, speed, where the pictures are, and how to open the run in MLflow."""
    rows = folder.scores()
    last = max(int(row["train_step"]) for row in rows)
    lines = [f"{'score':<20}{'value':>10}  {'better':<7}{'real floor':>10}  {'n':>6}  {'NFE':>6}  sampler"]
    for row in rows:
        if int(row["train_step"]) == last:
            guided = "" if row["guidance"] == "1" else f", guidance {row['guidance']}"
            seed = "" if row["sampling_seed"] == "0" else f", sampling seed {row['sampling_seed']}"
            value, floor, nfe = (float(row[name]) for name in ("value", "real_floor", "nfe"))
            lines.append(
                f"{row['metric']:<20}{value:>10.4g}  {row['better']:<7}{floor:>10.4g}  {row['n']:>6}"
                f"  {nfe:>6.4g}  {row['sampler']}{guided}{seed}"
            )
    speeds = sorted(value for key, _, value, _ in folder.points() if key == "train/images_per_second")
    if speeds:
        lines.append(f"training: {speeds[len(speeds) // 2]:.0f} pictures/s (median)")
    pictures = sorted(folder.path.glob(f"pictures/{last:08d}-*.png"))
    lines += [f"pictures: {path}" for path in pictures]
    if mirror.error:
        lines.append(f"MLflow:   {hidden(mirror.uri)} is not reachable; the same command sends the run later")
    else:
        lines.append(f"MLflow:   run {mirror.run_id} in experiment {mirror.experiment}")
        lines.append(f"          mlflow ui --backend-store-uri {hidden(mirror.uri)}")
    return "\n".join(lines)
