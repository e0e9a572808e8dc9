"""The choices of every configuration group: a file's first comment says what it is."""

from pathlib import Path

CONF = Path(__file__).parents[2] / "conf"
GROUPS = {  # in the order the data flows
    "data": "what is learned from",
    "model": "the network; each data set has its usual one",
    "attribution": "what a prior is trained through; attribution@explain=NAME is what explains the trained network",
    "prior": "what its attributions shall be like; prior.weight=NUMBER is its strength",
    "train": "how it is trained; each data set has its usual way",
    "evaluate": "what is measured",
    "contrast": "whether there is a graph prior, and on which network: the data set's own, or a random one",
    "comparator": "what a grid compares: a penalty with its strengths, or what is no network",
    "experiment": "all of these together, with seeds: the question, the data, the cost",
}


def choices() -> str:
    """A line for each choice of each group."""
    parts = []
    for group, said in GROUPS.items():
        names = sorted(
            path.relative_to(CONF / group).with_suffix("").as_posix() for path in (CONF / group).rglob("*.yaml")
        )
        width = max(map(len, names))
        lines = [f"  {name:<{width}}  {said_of(CONF / group / f'{name}.yaml')}" for name in names]
        parts.append("\n".join([f"{group}=   {said}", *lines]))
    return "\n\n".join(parts)


def said_of(path: Path) -> str:
    """The first comment of a configuration file that is no directive of Hydra's."""
    return next(line for line in path.read_text().splitlines() if not line.startswith("# @")).removeprefix("# ")


if __name__ == "__main__":
    print(choices())
