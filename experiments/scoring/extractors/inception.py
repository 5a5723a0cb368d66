"""The FID paper's InceptionV3, as torch-fidelity has it."""

import hashlib
import io
import pickle
from pathlib import Path

import torch
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from experiments.config.registries import EXTRACTORS
from experiments.scoring.extractors.base import Extractor, in_short, read_weights
from rope_dit.errors import UserError

PUBLISHED = "6726825d"  # first 8 hex digits of the SHA-256 of torch-fidelity's file, as in the file's name


@EXTRACTORS.register("inception")
def inception(argument: str, device: torch.device) -> Extractor:
    """The FID paper's network; its weights are downloaded once, or lie at PATH: inception:PATH.

    With any other weights it is called `inception_<first 8 digits of their SHA-256>`, so that no score made
    with them is called FID. Raises UserError for files that do not hold this network.
    """
    path = Path(argument) if argument else _download()
    data = read_weights(path)
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        # torch-fidelity unpickles what it is given without limits, so it gets bytes that were written here
        safe = io.BytesIO()
        torch.save(state, safe)
        safe.seek(0)
        network = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=safe
        )
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        TypeError,
        AttributeError,
        LookupError,
        ValueError,
    ) as error:
        raise UserError(
            f"eval.inception-weights: {path.name} does not hold torch-fidelity's InceptionV3 "
            f"({in_short(error)}); expected {URL_INCEPTION_V3.rpartition('/')[2]}."
        ) from None
    name = "inception" if sha256.startswith(PUBLISHED) else f"inception_{sha256[:8]}"
    return Extractor(name, sha256, 2048, (1, 3), None, network.to(device), device, batch=64)


def _download() -> Path:
    """Fetch the published weights to where torch-fidelity itself looks for them, unless they are there."""
    path = Path(torch.hub.get_dir(), "checkpoints", URL_INCEPTION_V3.rpartition("/")[2])
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), hash_prefix=PUBLISHED)
        except (OSError, RuntimeError):  # no network, or cut short
            raise UserError(
                "the Inception weights could not be downloaded. Give --eval.inception-weights PATH "
                f"({path.name}) or choose --eval.extractor cifar10."
            ) from None
    return path
