"""Commands as text that can be typed: every one that is printed or kept goes through here."""

import shlex


def typed(*words: object) -> str:
    """The words as a shell reads them back, in quotes where it needs some.

    >>> typed("unzip", "my pics.zip"), typed("mlflow", "ui")
    ("unzip 'my pics.zip'", 'mlflow ui')
    """
    return shlex.join(map(str, words))


def python(module: str, *words: object) -> str:
    """A command of this project.

    >>> python("experiments.study", "tune", "--studies", "my studies")
    "python -m experiments.study tune --studies 'my studies'"
    """
    return typed("python", "-m", module, *words)
