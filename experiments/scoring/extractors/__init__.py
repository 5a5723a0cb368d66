"""Extractors, one file each: networks that turn pictures into features; and the files with their weights.

An extractor is a function `(argument, device) -> Extractor` registered in `EXTRACTORS`; `argument` is what
follows the first ':' of its name on the command line. It sees pictures alone, whoever made them. Files here
import what scoring may import, but no metric.

One of your own, in a folder that is given as --plugins, whose weights lie at `mine:PATH`:

    @EXTRACTORS.register("mine")
    def mine(argument: str, device: torch.device) -> Extractor:
        return Extractor.of("mine", Mine(Path(argument)), device, dim=384)

Its docstring's first line stands in `--list`. `Mine` is a torch module that turns uint8 [B, C, H, W] into
features [B, 384] and class scores [B, K]. Scores are called `fd_mine`. An extractor is known by its weights
and by what its file says: where either changes, old scores are never mixed with new ones.
"""
