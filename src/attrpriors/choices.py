"""The choices of every configuration group: a file's first comment says what it is."""

from pathlib import Path

CONF = Path(__file__).parents[2] / "conf"
GROUPS = ("data", "model", "attribution", "prior", "train", "evaluate", "experiment")  # in the order the data flows


def choices() -> str:
    """One line for each choice of each group."""
    lines = []
    for group in GROUPS:
        lines.append(f"{group}=")
        for path in sorted((CONF / group).rglob("*.yaml")):
            name = path.relative_to(CONF / group).with_suffix("").as_posix()
            said = next(line for line in path.read_text().splitlines() if not line.startswith("# @"))
            lines.append(f"  {name:<22} {said.removeprefix('# ')}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(choices())
